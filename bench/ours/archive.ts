/** A value that is replaced and never changed: a big map that all its versions share, and a counter. */
import { defineValue } from "../package.js";

type Archive = {
  readonly entries: ReadonlyMap<string, { readonly at: number; readonly title: string }>;
  readonly writes: number;
};

export const archive = defineValue({
  name: "bench-archive",
  version: 1,
  initial: (): Archive => ({ entries: new Map(), writes: 0 }),
  commands: {
    fill: (_archive, count: number) => {
      const entries = new Map<string, { at: number; title: string }>();
      for (let i = 0; i < count; i++) entries.set(`key-${i}`, { at: i, title: `title ${i}` });
      return { reply: count, value: { entries, writes: 0 } };
    },
    write: (archive) => {
      const writes = archive.writes + 1;
      return { reply: writes, value: { ...archive, writes } };
    },
  },
  queries: { size: (archive) => archive.entries.size },
});
