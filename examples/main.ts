/** `npm run example -- NAME`: runs one of the examples and prints what happens. */
import { main as jobs } from "./jobs.js";
import { main as keys } from "./keys.js";
import { main as locks } from "./locks.js";

const examples = new Map([
  ["locks", locks],
  ["keys", keys],
  ["jobs", jobs],
]);

const [name, ...more] = process.argv.slice(2);
const example = examples.get(name ?? "");
if (example === undefined || more.length > 0) {
  process.stderr.write(`usage: npm run example -- ${[...examples.keys()].join(" | ")}\n`);
  process.exitCode = 2;
} else {
  await example((line) => process.stdout.write(`${line}\n`));
}
