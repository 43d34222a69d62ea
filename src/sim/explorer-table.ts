/**
 * States that were seen, by a hash of 64 bits, with the way to each: open addressing over typed
 * arrays, some 20 bytes a state. Two states of one hash would be taken for one: among ten million
 * the odds are below one in a hundred thousand.
 */
export type StateHash = { high: number; low: number };

/** Mixes a text into two lanes of 32 bits. */
export function hashText(text: string): StateHash {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x85ebca77);
    low = Math.imul(low ^ code, 0xc2b2ae3d);
  }
  return { high: mix(high ^ (low >>> 13)), low: mix(low ^ (high >>> 16)) };
}

export function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export class StateTable {
  size = 0;
  #mask: number;
  #high: Uint32Array;
  #low: Uint32Array;
  /** Place of each slot's state in the order of discovery, plus one. */
  #slots: Uint32Array;
  #parents: Uint32Array;
  #choices: Uint16Array;

  constructor() {
    const capacity = 1 << 16;
    this.#mask = capacity - 1;
    this.#high = new Uint32Array(capacity);
    this.#low = new Uint32Array(capacity);
    this.#slots = new Uint32Array(capacity);
    this.#parents = new Uint32Array(capacity);
    this.#choices = new Uint16Array(capacity);
  }

  /** The number of a state that is new, or -1. `choice`: which successor of `parent` it is. */
  add(hash: StateHash, parent: number, choice: number): number {
    if (this.size * 2 > this.#mask) this.#grow();
    const at = this.#find(hash.high, hash.low);
    if (this.#slots[at] !== 0) return -1;
    this.#high[at] = hash.high;
    this.#low[at] = hash.low;
    this.#parents[this.size] = parent;
    this.#choices[this.size] = choice;
    this.size += 1;
    this.#slots[at] = this.size;
    return this.size - 1;
  }

  /** The choices that lead from the first state to this one. */
  wayTo(state: number): number[] {
    const choices: number[] = [];
    for (let at = state; at !== 0; at = this.#parents[at]!) choices.push(this.#choices[at]!);
    return choices.reverse();
  }

  #find(high: number, low: number): number {
    let at = (high ^ low) & this.#mask;
    while (this.#slots[at] !== 0 && (this.#high[at] !== high || this.#low[at] !== low)) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }

  #grow(): void {
    const { length } = this.#slots;
    const [high, low, slots] = [this.#high, this.#low, this.#slots];
    this.#mask = length * 2 - 1;
    this.#high = new Uint32Array(length * 2);
    this.#low = new Uint32Array(length * 2);
    this.#slots = new Uint32Array(length * 2);
    for (let from = 0; from < length; from++) {
      if (slots[from] === 0) continue;
      const at = this.#find(high[from]!, low[from]!);
      this.#high[at] = high[from]!;
      this.#low[at] = low[from]!;
      this.#slots[at] = slots[from]!;
    }
    const parents = new Uint32Array(length * 2);
    parents.set(this.#parents);
    this.#parents = parents;
    const choices = new Uint16Array(length * 2);
    choices.set(this.#choices);
    this.#choices = choices;
  }
}
