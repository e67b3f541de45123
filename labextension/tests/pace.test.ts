import { LEAST_INTERVAL_MS, Pace, type Drawer } from '../src/dashboard/pace';

class Picture implements Drawer {
  drawn: number[] = [];
  visible = true;
  constructor(readonly interval = 0) {}
  draw(): void {
    this.drawn.push(performance.now());
  }
  isVisible(): boolean {
    return this.visible;
  }
}

const wait = (milliseconds: number): Promise<void> =>
  new Promise(resolve => setTimeout(resolve, milliseconds));

test('a picture is drawn at once, then at most five times a second however often it is asked', async () => {
  const [pace, picture] = [new Pace(), new Picture()];
  const end = Date.now() + 1100;
  while (Date.now() < end) {
    pace.request(picture);
    await wait(5);
  }
  expect(picture.drawn.length).toBeGreaterThanOrEqual(3);
  expect(picture.drawn.length).toBeLessThanOrEqual(6);
  const gaps = picture.drawn.slice(1).map((time, i) => time - picture.drawn[i]);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(LEAST_INTERVAL_MS - 1);
});

test('a slow picture does not hold up a quick one', async () => {
  const [pace, slow, quick] = [new Pace(), new Picture(5000), new Picture()];
  pace.request(slow);
  await wait(60);
  pace.request(slow); // not due for five seconds
  await wait(60);
  pace.request(quick);
  await wait(200);
  expect([slow.drawn.length, quick.drawn.length]).toEqual([1, 1]);
  pace.forget(slow);
});

test('what is out of sight is not drawn, and is when it comes back and asks', async () => {
  const [pace, picture] = [new Pace(), new Picture()];
  picture.visible = false;
  pace.request(picture);
  await wait(60);
  expect(picture.drawn).toHaveLength(0);
  picture.visible = true;
  pace.request(picture);
  await wait(60);
  expect(picture.drawn).toHaveLength(1);
});
