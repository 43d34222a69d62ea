/**
 * Version 2 of the simulator's own value: of another shape, with a command and a query that version 1 does not have, and
 * the same to everybody who knows no more than version 1. That one does not know of it, as the guide allows.
 */
import { defineValue } from "../value/define.js";
import type { AnyDefinedValue } from "../value/types.js";
import { empty, type Ledger, type Line, partition, refuseOdd, type Write } from "./ledger.js";

/** What a key has beside its line: how often it was sealed. */
type Page = { readonly line: Line; readonly seals: number };
type Book = { readonly pages: ReadonlyMap<string, Page> };

const blank: Page = Object.freeze({ line: empty, seals: 0 });

function pageOf({ pages }: Book, key: string): Page {
  return pages.get(key) ?? blank;
}

function written({ line, seals }: Page, op: number): Page {
  // In the order of version 1: replies have the same bytes.
  return { line: { count: line.count + 1, last: op }, seals };
}

function sealed({ line, seals }: Page): Page {
  return { line, seals: seals + 1 };
}

const shared = {
  name: "ledger",
  version: 2,
  compatibleVersions: [1],
  queries: {
    read: (book: Book, key: string) => pageOf(book, key).line,
    seals: (book: Book, key: string) => pageOf(book, key).seals,
  },
  partition,
};

function pagesOf(old: unknown): Map<string, Page> {
  const lines = Object.entries(old as Ledger);
  return new Map(lines.map(([key, line]) => [key, { line, seals: 0 }]));
}

function withPage(book: Book, key: string, page: Page): Book {
  return { pages: new Map(book.pages).set(key, page) };
}

/** Handlers that change nothing. */
export const newerLedger = defineValue({
  ...shared,
  initial: (): Book => ({ pages: new Map() }),
  upgrade: (old): Book => ({ pages: pagesOf(old) }),
  commands: {
    write: (book, { key, op }: Write) => {
      const page = pageOf(book, key);
      return { reply: page.line, value: withPage(book, key, written(page, op)) };
    },
    blindWrite: (book, { key, op }: Write) => ({
      reply: null,
      value: withPage(book, key, written(pageOf(book, key), op)),
    }),
    picky: (book, { key, op }: Write) => {
      refuseOdd(op);
      const page = written(pageOf(book, key), op);
      return { reply: page.line.count, value: withPage(book, key, page) };
    },
    /** Replies with the line, and how often it was sealed before. */
    seal: (book, { key }: Write) => {
      const page = pageOf(book, key);
      return { reply: page, value: withPage(book, key, sealed(page)) };
    },
  },
});

type MutableBook = { readonly pages: Map<string, Page> };

/** The same, changed in place. */
export const newerMutableLedger = defineValue({
  ...shared,
  mutable: true,
  initial: (): MutableBook => ({ pages: new Map() }),
  upgrade: (old): MutableBook => ({ pages: pagesOf(old) }),
  commands: {
    write: (book, { key, op }: Write) => {
      const page = pageOf(book, key);
      book.pages.set(key, written(page, op));
      return page.line;
    },
    blindWrite: (book, { key, op }: Write) => {
      book.pages.set(key, written(pageOf(book, key), op));
      return null;
    },
    picky: (book, { key, op }: Write) => {
      refuseOdd(op);
      const page = written(pageOf(book, key), op);
      book.pages.set(key, page);
      return page.line.count;
    },
    seal: (book, { key }: Write) => {
      const page = pageOf(book, key);
      book.pages.set(key, sealed(page));
      return page;
    },
  },
});

export function newerLedgerOf(mutable: boolean): AnyDefinedValue {
  return mutable ? newerMutableLedger : newerLedger;
}
