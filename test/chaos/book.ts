/**
 * The value under attack, in the two versions of a rolling upgrade. Its replies give an order away: every
 * write bears a number of its own and answers with the line as it was.
 */
import { defineValue } from "../../src/index.js";

export type Line = { readonly count: number; readonly last: number };
type Write = { readonly key: string; readonly op: number };
type Exchange = { readonly key: string; readonly from: number; readonly op: number };
type Book = Map<string, Line>;

export type Version = 1 | 2;

const empty: Line = { count: 0, last: 0 };

function lineOf(book: Book, key: string): Line {
  return book.get(key) ?? empty;
}

const shared = {
  name: "book",
  mutable: true,
  initial: (): Book => new Map(),
  partition: (_name: string, arg: unknown): string | null =>
    typeof arg === "string" ? arg : (arg as Write).key,
} as const;

const queries = {
  read: (book: Book, key: string): Line => lineOf(book, key),
  /** Equal books have equal digests; not part of any history. */
  digest: (book: Book): string =>
    [...book].map(([key, { count, last }]) => `${key}:${count}:${last}`).join(" "),
};

export const bookOfVersion1 = defineValue({
  ...shared,
  version: 1,
  compatibleVersions: [2],
  commands: {
    write: (book: Book, { key, op }: Write): Line => {
      const before = lineOf(book, key);
      book.set(key, { count: before.count + 1, last: op });
      return before;
    },
    /** Writes only over `from`; answers with the line as it was. */
    exchange: (book: Book, { key, from, op }: Exchange): Line => {
      const before = lineOf(book, key);
      if (before.last === from) book.set(key, { count: before.count + 1, last: op });
      return before;
    },
  },
  queries,
});

function replace(book: Book, key: string, last: number): Line {
  const before = lineOf(book, key);
  // In the same order of fields: a reply's bytes follow it, and members compare them.
  book.set(key, { count: before.count + 1, last });
  return before;
}

/** Written differently, and the same to everybody who looks. */
export const bookOfVersion2 = defineValue({
  ...shared,
  version: 2,
  compatibleVersions: [1],
  commands: {
    write: (book: Book, { key, op }: Write): Line => replace(book, key, op),
    exchange: (book: Book, { key, from, op }: Exchange): Line => {
      const line = lineOf(book, key);
      return line.last === from ? replace(book, key, op) : line;
    },
  },
  queries,
});

export function bookOf(version: Version): typeof bookOfVersion1 {
  return version === 1 ? bookOfVersion1 : bookOfVersion2;
}
