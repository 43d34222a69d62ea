/** `recover DIR ...`: after the loss of a majority, a new group from what is left. */
import { checkHostId } from "../../host/options.js";
import { rank, type Ranking, recover } from "../../index.js";
import { checkEmpty } from "../../storage/file/tools.js";
import { print, toJson } from "../output.js";
import {
  checkAddress,
  localOptions,
  optionalText,
  requiredText,
  UsageError,
  type Verb,
} from "../usage.js";

export const recoverVerb: Verb = {
  name: "recover",
  summary: "UNSAFE: make a new group of one member from the best copy that a lost majority left.",
  positionals: "DIR [DIR...]",
  maxPositionals: 100,
  options: {
    group: { value: "NAME", help: "the group's name" },
    id: { value: "ID", help: "the host that will serve it" },
    out: { value: "DIR", help: "its data directory: new or empty" },
    advertise: { value: "ADDR", help: "where others will reach the host" },
    yes: { value: null, help: "do it; without it only the ranking is printed" },
    ...localOptions,
  },
  notes: [
    "Give the data directories of all members that are left, none of them in use. The one with the",
    "highest (last term, last index) is taken; the others are only read. What the lost members had",
    "committed and none of these has IS LOST, and answered commands with it. Restore a backup instead",
    "if it is newer. Never start a member of the old group again.",
    "rafted-value recover /var/lib/foo /mnt/bar --group queue --id foo --out /var/lib/foo-2 --yes",
  ],
  async run(input) {
    const dirs = input.positionals;
    const group = requiredText(recoverVerb, input, "group");
    const id = requiredText(recoverVerb, input, "id");
    const out = requiredText(recoverVerb, input, "out");
    const advertise = optionalText(input, "advertise");
    if (advertise !== null) checkAddress("--advertise", advertise, 1);
    if (dirs.length === 0) {
      throw new UsageError("DIR of a survivor is missing; see: rafted-value help recover");
    }
    if (input.options["yes"] !== true) {
      // What `recover` would refuse: not to be learnt only when it is meant.
      checkHostId(id);
      await checkEmpty(out);
      const ranking = await rank(dirs, group);
      show(ranking, { ...ranking, recovered: false }, input.json);
      throw new UsageError("--yes is missing: committed entries may be lost for good");
    }
    const ranking = await recover({
      ...{ dirs, group, id, out },
      ...(advertise === null ? {} : { advertise }),
    });
    show(ranking, { ...ranking, recovered: true, out }, input.json);
    if (!input.json) {
      print(`${out}: a new group ${group} of ${id} alone, made of ${ranking.survivors[0]!.dir}`);
      print(`serve it with: rafted-value start --id ${id} --group ${group} --data ${out} ...`);
    }
    return 0;
  },
};

function show(ranking: Ranking, report: object, json: boolean): void {
  const warnings = warningLines(ranking);
  if (json) return print(toJson({ ...report, warning: warnings.join("; ") }));
  for (const line of warnings) process.stderr.write(`WARNING: ${line}\n`);
  for (const line of rankingLines(ranking)) print(line);
}

function rankingLines({ survivors, group }: Ranking): readonly string[] {
  return survivors.map(({ dir, memberId, lastTerm, lastIndex, snapshotIndex, damage }, at) => {
    const far = `last term ${lastTerm}, last index ${lastIndex}, snapshot ${snapshotIndex}`;
    const state = damage === null ? "" : `, NOT USABLE: group "${group}": ${damage}`;
    return `${at + 1}. ${dir}: ${memberId}, ${far}${state}`;
  });
}

function warningLines({ lostVoters, majorityLost, group }: Ranking): readonly string[] {
  const lost = lostVoters.join(", ");
  return [
    ...(lost === ""
      ? []
      : [`what only the lost members of group ${group} had (${lost}) is gone, committed or not`]),
    "answered commands may be lost; never start a member of the old group again",
    ...(majorityLost
      ? []
      : ["a majority is here undamaged: to start these members instead loses nothing"]),
  ];
}
