/** Replaces, in what cbor-x has read, the tags of this library by what they stand for. */
import { Tag } from "cbor-x/decode";
import { tagExactDate, tagLongBigInt, tagMarkedText } from "./value-forms.js";

/** Changes arrays and objects in place (they are fresh); the scan has bounded their depth. */
export function restore(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Tag) return untag(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = restore(value[i]);
    return value;
  }
  if (value instanceof Map) {
    const entries = [...(value as Map<unknown, unknown>)];
    return new Map(entries.map(([key, item]) => [restore(key), restore(item)]));
  }
  if (value instanceof Set) return new Set([...(value as Set<unknown>)].map(restore));
  if (ArrayBuffer.isView(value) || value instanceof Date) return value;
  const fields = value as Record<string, unknown>;
  for (const key of Object.keys(fields)) fields[key] = restore(fields[key]);
  return value;
}

const hexadecimal = /^-?[0-9a-f]+$/;

function untag({ tag, value }: Tag): unknown {
  switch (tag) {
    case tagMarkedText:
      return (value as string).slice(1);
    case tagLongBigInt:
      return readHex(value as string);
    case tagExactDate:
      return new Date(Number(value));
    default:
      throw new Error(`tag ${tag} is unknown`);
  }
}

/** A power of two as the base: linear in the length. */
function readHex(text: string): bigint {
  if (!hexadecimal.test(text)) throw new Error("a BigInt is not written in hexadecimal");
  return text.startsWith("-") ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`);
}
