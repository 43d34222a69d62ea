/** One preallocated file; one write and one fdatasync for all that gathered meanwhile. */
import { fdatasync, fdatasyncSync, openSync, write, writeSync } from "node:fs";

export interface Disk {
  append(bytes: Uint8Array, done: () => void): void;
  /** End of a turn: what was appended goes out. */
  flush(): void;
}

/** Answers at once. */
export const noDisk: Disk = { append: (_bytes, done) => done(), flush: () => undefined };

const fileBytes = 64 * 1024 * 1024;

export class GroupCommit implements Disk {
  readonly #fd: number;
  #at = 0;
  #waiting: { bytes: Uint8Array; done: () => void }[] = [];
  #busy = false;

  constructor(path: string) {
    this.#fd = openSync(path, "w+");
    const zeros = new Uint8Array(1024 * 1024);
    for (let at = 0; at < fileBytes; at += zeros.length) writeSync(this.#fd, zeros);
    fdatasyncSync(this.#fd);
  }

  append(bytes: Uint8Array, done: () => void): void {
    this.#waiting.push({ bytes, done });
  }

  flush(): void {
    if (this.#busy || this.#waiting.length === 0) return;
    this.#busy = true;
    const batch = this.#waiting;
    this.#waiting = [];
    const bytes = batch.length === 1 ? batch[0]!.bytes : Buffer.concat(batch.map((b) => b.bytes));
    // Nobody reads it back: it begins again at the front when it is full.
    if (this.#at + bytes.length > fileBytes) this.#at = 0;
    const at = this.#at;
    this.#at += bytes.length;
    write(this.#fd, bytes, 0, bytes.length, at, (failed) => {
      if (failed !== null) throw failed;
      fdatasync(this.#fd, (error) => {
        if (error !== null) throw error;
        this.#busy = false;
        for (const one of batch) one.done();
        this.flush();
      });
    });
  }
}
