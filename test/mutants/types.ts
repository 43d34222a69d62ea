/** A deliberate bug, and who ought to notice it. */

/** Cheapest first: a scenario file takes milliseconds, a simulation up to a minute. */
export type Catcher =
  /** A file of test/scenarios, without `.txt`. */
  | { readonly type: "scenario"; readonly name: string }
  /** A test file, as `test/value/sessions.test`. */
  | { readonly type: "test"; readonly file: string }
  /** A configuration of `npm run explore`, searched as far as the time reaches, or for `count` states. */
  | { readonly type: "explorer"; readonly name: string; readonly count?: number }
  /** Seeds 1, 2, 3 ... of the simulator, with these options. */
  | { readonly type: "simulator"; readonly args: readonly string[] };

export type Mutant = {
  /** Kebab case, unique. */
  readonly id: string;
  /** Rows of the table of hazards that comments and tests name; empty where it has no row. */
  readonly hazards: readonly number[];
  /** What the mutated program does, in the words of somebody who saw it. */
  readonly bug: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** In the order in which they are asked. */
  readonly catchers: readonly Catcher[];
};

export function scenario(name: string): Catcher {
  return { type: "scenario", name };
}

export function unit(file: string): Catcher {
  return { type: "test", file };
}

export function explorer(name: string): Catcher {
  return { type: "explorer", name };
}

/** `args` as on the command line of `npm run sim`; without them all faults and settings. */
export function simulator(args = ""): Catcher {
  return { type: "simulator", args: args.split(" ").filter((word) => word !== "") };
}

/** The same words for the same catcher, in tables and to tell catchers apart. */
export function nameOf(catcher: Catcher): string {
  switch (catcher.type) {
    case "scenario":
      return `scenario ${catcher.name}`;
    case "test":
      return catcher.file;
    case "explorer":
      return `explorer "${catcher.name}"`;
    case "simulator":
      return ["simulator", ...catcher.args].join(" ");
    default:
      return catcher satisfies never;
  }
}
