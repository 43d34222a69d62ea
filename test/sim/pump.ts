/** Lets a simulated world go on by itself, for tests that wait for promises. */
import type { TestContext } from "node:test";
import { settle, type World } from "../../src/sim/world.js";

export function pump(t: TestContext, world: World): void {
  let over = false;
  const run = async (): Promise<void> => {
    while (!over) {
      world.step();
      await settle();
    }
  };
  void run();
  t.after(() => {
    over = true;
  });
}
