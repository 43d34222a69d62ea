/**
 * Ids and addresses come in again and again: in each membership of a log, in each hello. A host with a thousand
 * groups would keep dozens of copies for each of them, and compare them letter by letter. Here the last few
 * hundred are remembered, and a copy of one of them is let go for it.
 */
import type { MemberInfo } from "../core/types.js";

/** A power of two. Whoever comes to a place that is taken takes it over. */
const places = 1024;
const texts: string[] = [];
const infos: MemberInfo[] = [];

/** The same text, whenever it can be the same string. */
export function interned(text: string): string {
  const place = placeOf(text);
  const known = texts[place];
  if (known === text) return known;
  texts[place] = text;
  return text;
}

/** An equal one that is never written to. */
export function internedInfo(id: string, address: string): MemberInfo {
  const place = placeOf(id);
  const known = infos[place];
  if (known?.id === id && known.address === address) return known;
  const info = { id: interned(id), address: interned(address) };
  infos[place] = info;
  return info;
}

/** By its last letters, in which ids and addresses differ. */
function placeOf(text: string): number {
  let hash = text.length;
  for (let at = Math.max(0, text.length - 8); at < text.length; at++) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  }
  return (hash ^ (hash >>> 10)) & (places - 1);
}
