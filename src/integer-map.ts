/**
 * A map by whole numbers that come and go roughly in order: requests, sequences.
 *
 * `Map` is the wrong tool where everything that enters leaves again soon. V8 gives it a new table
 * every few entries, and each table that is given up points to the next: one that has grown old keeps
 * all the younger ones, and whatever they ever held, from the young generation's collector. Measured
 * with 64 commands outstanding, 40 % of all that was allocated survived for that reason.
 *
 * Here a window of numbers lies in a ring, `number mod capacity`; what does not fit, because somebody
 * leaps, lies in a `Map` beside it, so memory is bounded by what is held and not by how it is numbered.
 */

/** Behind the first place: who holds one number at a time, as most of very many sessions do, needs no more than that. */
const leastCapacity = 16;
/** The ring grows only while so much of it is used, and shrinks when less than this is for long. */
const usedToGrow = 1 / 4;
const usedToShrink = 1 / 16;

/** Before the first entry: arrays of the kind that a ring has, so that one look fits both. */
const noKeys: number[] = new Array<number>(1).fill(-1);
const noValues: undefined[] = new Array<undefined>(1).fill(undefined);

export class IntegerMap<T> {
  /** The number in each place, -1 where it is free. One place that is never taken while there is no ring. */
  #keys = noKeys;
  #values: (T | undefined)[] = noValues;
  #mask = 0;
  #inRing = 0;
  /** Entries set one behind the other while hardly any place was used. */
  #idleSets = 0;
  #beside: Map<number, T> | null = null;

  get size(): number {
    return this.#inRing + (this.#beside?.size ?? 0);
  }

  get(key: number): T | undefined {
    const at = key & this.#mask;
    if (this.#keys[at] === key) return this.#values[at];
    return this.#beside?.get(key);
  }

  /** `key` is a safe integer, not below 0. */
  set(key: number, value: T): void {
    let at = key & this.#mask;
    let held = this.#keys[at]!;
    if (this.#keys === noKeys) this.#resize(1);
    while (held !== key && held >= 0 && this.#isWellUsed()) {
      this.#resize(Math.max(leastCapacity, this.#keys.length * 2));
      at = key & this.#mask;
      held = this.#keys[at]!;
    }
    if (held === key) {
      this.#values[at] = value;
    } else if (held < 0 && this.#beside?.has(key) !== true) {
      this.#keys[at] = key;
      this.#values[at] = value;
      this.#inRing += 1;
    } else {
      (this.#beside ??= new Map()).set(key, value);
    }
    this.#shrinkIfIdle();
  }

  delete(key: number): boolean {
    const at = key & this.#mask;
    if (this.#keys[at] !== key) return this.#beside?.delete(key) === true;
    this.#keys[at] = -1;
    this.#values[at] = undefined;
    this.#inRing -= 1;
    return true;
  }

  #isWellUsed(): boolean {
    return this.#inRing >= this.#keys.length * usedToGrow;
  }

  /** What empties and fills again and again keeps its ring: only a long time of little use shrinks it. */
  #shrinkIfIdle(): void {
    const capacity = this.#keys.length;
    if (this.#inRing >= capacity * usedToShrink || capacity <= leastCapacity) this.#idleSets = 0;
    else if ((this.#idleSets += 1) > capacity) this.#resize(capacity / 2);
  }

  clear(): void {
    this.#keys = noKeys;
    this.#values = noValues;
    this.#mask = 0;
    this.#inRing = 0;
    this.#beside = null;
  }

  /** A list of its own, in the order of their numbers. */
  values(): T[] {
    const all: [number, T][] = this.#beside === null ? [] : [...this.#beside];
    for (let at = 0; at <= this.#mask; at++) {
      const key = this.#keys[at]!;
      if (key >= 0) all.push([key, this.#values[at]!]);
    }
    return all.sort(([a], [b]) => a - b).map(([, value]) => value);
  }

  #resize(capacity: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Array<number>(capacity).fill(-1);
    this.#values = new Array<T | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#inRing = 0;
    this.#idleSets = 0;
    for (let at = 0; at < keys.length; at++) {
      const key = keys[at]!;
      if (key < 0) continue;
      const to = key & this.#mask;
      if (this.#keys[to]! < 0) {
        this.#keys[to] = key;
        this.#values[to] = values[at];
        this.#inRing += 1;
      } else (this.#beside ??= new Map()).set(key, values[at]!);
    }
  }
}
