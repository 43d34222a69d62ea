/** What the codec alone takes for the value of `join`, once, in a process of its own. */
import { createCborCodec } from "../package.js";
import { mapEntries } from "./values.js";

export type CodecReply = {
  readonly type: "codec";
  readonly encodeMs: number;
  readonly decodeMs: number;
};

const tell = (message: CodecReply | { readonly type: "ready"; readonly address: string }): void =>
  void process.send?.(message);

process.on("message", () => {
  const map = new Map(Array.from({ length: mapEntries }, (_, i) => [`key-${i}`, i]));
  const codec = createCborCodec();
  const encodingAt = performance.now();
  const bytes = codec.encode(map);
  const decodingAt = performance.now();
  codec.decode(bytes);
  const decodedAt = performance.now();
  const encodeMs = decodingAt - encodingAt;
  tell({ type: "codec", encodeMs, decodeMs: decodedAt - decodingAt });
});
process.on("disconnect", () => process.exit(0));
tell({ type: "ready", address: "" });
