/**
 * The live protocol: the same JSON over the server's WebSocket and over the widget's comm.
 */

export type Status = 'queued' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled' | 'lost';

/** One curve: a value at each step, steps rising. */
export interface Series {
  steps: number[];
  values: number[];
}

/** A line for people. `time` is seconds since 1970. */
export interface LogLine {
  time: number;
  level: string;
  message: string;
}

/** What went wrong, in three parts. */
export interface Problem {
  what?: string;
  got?: string;
  do?: string;
}

/** Latencies of one model, batch size and length, in milliseconds; `edges` are one more than `counts`. */
export interface Histogram {
  edges: number[];
  counts: number[];
  p50: number;
  p95: number;
  p99: number;
  count: number;
}

/** The scalar fields of a run. Times are seconds since 1970, spans are seconds. */
export interface Summary {
  run: string;
  kind: string;
  task: string | null;
  model: string | null;
  name: string | null;
  parent: string | null;
  status: Status;
  stage: string;
  reason: string;
  message: string;
  problems: Problem[];
  attempt: number;
  created: number;
  started: number | null;
  ended: number | null;
  as_of: number;
  step: number;
  max_steps: number;
  epoch: number | null;
  epochs: number | null;
  progress: number | null;
  seconds: number | null;
  seconds_left: number | null;
  metrics: Record<string, unknown>;
  reports: Record<string, unknown>;
  artifacts: Record<string, unknown>;
  /** By what was measured: `compiled.b1.l32`. */
  latency?: Record<string, Histogram>;
}

export interface Snapshot {
  type: 'snapshot';
  run: string;
  sequence: number;
  view: Summary;
  series: Record<string, Series>;
  logs: LogLine[];
}

export interface Delta {
  type: 'delta';
  run: string;
  sequence: number;
  view?: Partial<Summary>;
  append?: Record<string, Series>;
  logs?: LogLine[];
}

/** The last message of a run, with the card to keep in the saved notebook. */
export interface Final {
  type: 'final';
  run: string;
  sequence: number;
  view?: Partial<Summary>;
  html: string;
  text: string;
}

/** This run cannot be shown. */
export interface Refusal {
  type: 'error';
  run: string;
  message: string;
}

export type ServerMessage = Snapshot | Delta | Final | Refusal;

export type ClientMessage =
  | { type: 'watch'; run: string }
  | { type: 'unwatch'; run: string }
  | { type: 'action'; run: string; action: 'cancel' };

/** Statuses after which nothing more happens by itself. */
export const ENDED: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled', 'lost']);
