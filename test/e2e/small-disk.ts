/** File systems of their own for tests: small ones that fill up, and one that cannot be written. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type Mounted = { readonly dir: string; unmount(): void };

/** A tmpfs at `dir`, or why there is none: this process may not mount. */
export function mountSmall(dir: string, options: string): Mounted | string {
  mkdirSync(dir, { recursive: true });
  if (process.platform !== "linux") return "only Linux has a tmpfs to mount";
  const { status, error, stderr } = spawnSync(
    "mount",
    ["-t", "tmpfs", "-o", options, "tmpfs", dir],
    { encoding: "utf8" },
  );
  if (status !== 0) return `mount is not permitted here: ${error?.message ?? stderr.trim()}`;
  return { dir, unmount: () => void spawnSync("umount", [dir]) };
}

/** Writes until nothing more goes in; remove the file to make room again. */
export function fillUp(dir: string): string {
  const path = join(dir, "ballast");
  for (const sizeBytes of [64 * 1024, 4096, 1]) {
    const piece = new Uint8Array(sizeBytes);
    for (;;) {
      try {
        writeFileSync(path, piece, { flag: "a" });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
        break;
      }
    }
  }
  return path;
}
