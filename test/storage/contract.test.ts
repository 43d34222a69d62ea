/** The storage contract, held by every storage of the house. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileStorage } from "../../src/storage/file/index.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { storageContract } from "../../src/contract/storage.js";

storageContract("memory", () => {
  const storage = createMemoryStorage();
  return { storage: () => storage, damage: (group) => storage.damage(group, "a bit flipped") };
});

storageContract("file", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "storage-contract-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { storage: () => fileStorage(dir), damage: (group) => flipIn(dir, group) };
});

/** A bit in the middle of the group's log. */
function flipIn(dir: string, group: string): void {
  const path = join(dir, "wal-00000001.log");
  const bytes = readFileSync(path);
  const at = bytes.indexOf(`${group} 5`);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}
