/** The storage contract, held by every storage of the house. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileStorage } from "../../src/storage/file/index.js";
import { createMemoryStorage } from "../../src/storage/memory.js";
import { storageContract } from "../../src/contract/storage.js";

storageContract("memory", () => {
  const storage = createMemoryStorage();
  return { storage: () => storage };
});

storageContract("file", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "storage-contract-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { storage: () => fileStorage(dir) };
});
