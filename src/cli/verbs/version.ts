/** `version` */
import { existsSync, readFileSync } from "node:fs";
import { print, toJson } from "../output.js";
import { localOptions, type Verb } from "../usage.js";

export const versionVerb: Verb = {
  name: "version",
  summary: "Print the version of the package.",
  positionals: "",
  maxPositionals: 0,
  options: localOptions,
  notes: [],
  run(input) {
    const version = packageVersion();
    print(input.json ? toJson({ version }) : version);
    return Promise.resolve(0);
  },
};

/** From the nearest package.json above, which is the package's own wherever it was compiled to. */
function packageVersion(): string {
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    const file = new URL("package.json", folder);
    if (existsSync(file)) {
      const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
      return version;
    }
    if (folder.pathname === "/") throw new Error("the package's own package.json is missing");
  }
}
