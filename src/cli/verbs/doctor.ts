/** `doctor DIR`: verifies a data directory, explains, and mends what is safe to mend. */
import { type Diagnosis, doctorDirectory, type Problem } from "../../storage/file/index.js";
import { type SetAside, setGroupAside } from "../../storage/file/tools.js";
import { print, toJson } from "../output.js";
import { localOptions, optionalText, requiredPositional, UsageError, type Verb } from "../usage.js";

export const doctorVerb: Verb = {
  name: "doctor",
  summary:
    "Verify every checksum of a data directory and explain what is wrong. Stop its host first.",
  positionals: "DIR",
  maxPositionals: 1,
  options: {
    repair: { value: null, help: "mend what is provably safe to mend, after making a copy of DIR" },
    rejoin: {
      value: "GROUP",
      help: "set this damaged group aside, so that its host can join it anew",
    },
    ...localOptions,
  },
  notes: [
    "Without an option nothing is written. Exit code 1 if something is left that the next start does not",
    "get over (health: damaged).",
    "--rejoin renames, never deletes. Then start the host with --join: it comes back as a new member,",
    "catches up from the leader and takes the place of its former self. Started without --join it would",
    "begin a new group of that name.",
    "rafted-value doctor /var/lib/foo",
    "rafted-value doctor /var/lib/foo --rejoin queue",
  ],
  async run(input) {
    const dir = requiredPositional(doctorVerb, input, "DIR");
    const group = optionalText(input, "rejoin");
    const repair = input.options["repair"] === true;
    if (group === null) return examine(dir, repair, input.json);
    if (repair) throw new UsageError("--repair and --rejoin exclude each other; use one of them");
    const aside = await setGroupAside(dir, group);
    if (input.json) print(toJson({ rejoin: group, ...aside }));
    else for (const line of asideLines(dir, group, aside)) print(line);
    return 0;
  },
};

async function examine(dir: string, repair: boolean, json: boolean): Promise<number> {
  const diagnosis = await doctorDirectory(dir, { repair });
  if (json) print(toJson(diagnosis));
  else for (const line of diagnosisLines(dir, diagnosis)) print(line);
  return diagnosis.inspection.health === "damaged" ? 1 : 0;
}

/** What is there after the call: all that was found, less what a repair has mended. */
function leftLine({ problems, repaired, inspection: { health } }: Diagnosis): string {
  const left = problems.filter(({ repairable }) => !(repaired && repairable)).length;
  const harmless = left > 0 && health !== "damaged";
  const over = harmless ? `: the next start gets over ${left === 1 ? "it" : "them"}` : "";
  return `health: ${health}, ${left} ${left === 1 ? "problem" : "problems"} left${over}`;
}

function diagnosisLines(dir: string, diagnosis: Diagnosis): readonly string[] {
  const { problems, repaired, copy, inspection } = diagnosis;
  const lines = problems.flatMap((problem) => problemLines(problem));
  if (repaired) lines.push(`repaired; ${dir} as it was before is kept in ${copy}`);
  const more = problems.some(({ repairable }) => repairable) && !repaired;
  if (more) lines.push(`what is safe to mend is mended by: rafted-value doctor ${dir} --repair`);
  for (const { group, damage } of inspection.groups) {
    if (damage === null) continue;
    lines.push(`to let this host rejoin: rafted-value doctor ${dir} --rejoin ${group}`);
  }
  lines.push(leftLine(diagnosis));
  return lines;
}

function problemLines({ message, advice, repairable }: Problem): readonly string[] {
  return [message, `  ${advice}${repairable ? "" : " (not repairable)"}`];
}

function asideLines(dir: string, group: string, { kept, others }: SetAside): readonly string[] {
  return [
    `set group ${group} aside: ${dir} as it was before is kept in ${kept}`,
    others.length === 0 ? `${dir} is empty now` : `the groups ${others.join(", ")} go on in ${dir}`,
    `start its host with --data ${dir} --join ADDR,... to rejoin ${group} as a new member`,
  ];
}
