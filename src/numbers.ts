/**
 * Numbers as V8 keeps them, for code that runs for every command.
 *
 * V8 compiles code for the shapes of the objects that it has met, and a field that has held small integers
 * only is part of a shape. The first fraction in it, or the first integer that comes as a double, makes every
 * object of that shape another one and throws away all code compiled for the old one: a second of slow turns,
 * whenever it happens. A view of bytes or a `Float64Array` hands out doubles, also for integers, until the code
 * that reads is compiled (docs/decisions/0039).
 */

/** The same number; an integer that fits into 32 bits as a small integer. Never -0. */
export function compact(value: number): number {
  const small = value | 0;
  return small === value ? small : value;
}

/** 0 for a field that will hold fractions or more than 31 bits: V8 keeps it as a double from the start. */
export const doubleZero = -0;
