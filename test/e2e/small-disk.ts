/** File systems of their own for tests: ones that fill up, cannot be written, or become read-only. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

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

export type FragileDisk = Mounted & {
  /** As the kernel does by itself when a disk reports errors: open files take no writes any more. */
  becomeReadOnly(): void;
  /** Once nobody has it open: repaired and mounted again. */
  repair(): void;
};

function run(command: string, ...args: readonly string[]): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status === 0) return stdout;
  throw new Error(`${command}: ${error?.message ?? stderr.trim()}`);
}

/**
 * An ext4 in a file at `folder`, which becomes read-only when it meets an error; or why there is none.
 *
 * `mount -o remount,ro` is no way to get there: Linux refuses it (EBUSY) as long as a file is open for
 * writing, for a bind mount as well, and a member always has the segment open that it writes. What
 * happens to real members is that ext4 itself gives up (`errors=remount-ro`), and it lets one ask for it.
 */
export function mountFragile(folder: string): FragileDisk | string {
  if (process.platform !== "linux") return "only Linux has an ext4 to mount";
  const dir = join(folder, "disk");
  const image = join(folder, "image");
  mkdirSync(dir, { recursive: true });
  const mount = (): void => void run("mount", "-o", "loop,errors=remount-ro", image, dir);
  try {
    writeFileSync(image, "");
    truncateSync(image, 96 * 1024 * 1024);
    run("mkfs.ext4", "-q", "-F", image);
    mount();
  } catch (error) {
    return `an ext4 of one's own is not permitted here: ${String(error)}`;
  }
  const unmount = (): void => void spawnSync("umount", [dir]);
  const trigger = (): string => {
    const device = basename(run("findmnt", "-n", "-o", "SOURCE", dir).trim());
    return `/sys/fs/ext4/${device}/trigger_fs_error`;
  };
  try {
    accessSync(trigger(), constants.W_OK);
  } catch (error) {
    unmount();
    return `this kernel lets nobody ask for an error of ext4: ${String(error)}`;
  }
  return {
    dir,
    unmount,
    becomeReadOnly: () => writeFileSync(trigger(), "asked for by a test"),
    repair: () => {
      run("umount", dir);
      // Exit code 1: errors were there, and were corrected.
      const { status } = spawnSync("e2fsck", ["-f", "-y", image]);
      if (status !== 0 && status !== 1) throw new Error(`e2fsck ended with ${status}`);
      mount();
    },
  };
}
