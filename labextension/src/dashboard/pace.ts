/**
 * When to draw: one queue a page, a few milliseconds a frame, each drawer at most five times a second,
 * nothing that is out of sight.
 */

export const LEAST_INTERVAL_MS = 200;
const FRAME_BUDGET_MS = 8;

/** Something that draws itself when asked, and only while it can be seen. */
export interface Drawer {
  draw(): void;
  isVisible(): boolean;
  /** Milliseconds between two drawings, if more than the least. */
  readonly interval?: number;
}

export class Pace {
  /** Draw soon. Asking again before that changes nothing. */
  request(drawer: Drawer): void {
    this._waiting.add(drawer);
    this._schedule(0);
  }

  /** Forget a drawer that is going away. */
  forget(drawer: Drawer): void {
    this._waiting.delete(drawer);
  }

  private _schedule(delay: number): void {
    if (this._frame !== null) {
      return;
    }
    if (this._timer !== null) {
      clearTimeout(this._timer);
      this._timer = null;
    }
    if (delay > 0) {
      this._timer = setTimeout(() => {
        this._timer = null;
        this._schedule(0);
      }, delay);
    } else {
      // A hidden page gets no frames: drawing pauses there by itself.
      this._frame = requestAnimationFrame(() => {
        this._frame = null;
        this._run();
      });
    }
  }

  private _run(): void {
    const start = performance.now();
    let wait = Infinity;
    for (const drawer of [...this._waiting]) {
      if (!drawer.isVisible()) {
        this._waiting.delete(drawer); // it asks again when it comes into sight
        continue;
      }
      const due = (this._drawn.get(drawer) ?? -Infinity) + Math.max(LEAST_INTERVAL_MS, drawer.interval ?? 0);
      if (due > start) {
        wait = Math.min(wait, due - start);
        continue;
      }
      if (performance.now() - start > FRAME_BUDGET_MS) {
        wait = 0;
        break;
      }
      this._waiting.delete(drawer);
      this._drawn.set(drawer, start);
      drawer.draw();
    }
    if (wait < Infinity) {
      this._schedule(wait);
    }
  }

  private readonly _waiting = new Set<Drawer>();
  private readonly _drawn = new WeakMap<Drawer, number>();
  private _frame: number | null = null;
  private _timer: ReturnType<typeof setTimeout> | null = null;
}

/** The one queue of this page. */
export const pace = new Pace();
