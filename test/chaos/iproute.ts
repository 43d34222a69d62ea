/** `ip`, `tc` and `bridge` of iproute2, and whether this machine lets us use them. */
import { spawnSync } from "node:child_process";

/** An administrator's tools, which are not on everybody's path. */
export const toolEnvironment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
};

/** Runs it to its end, `input` on its stdin; throws with what it said if it fails. */
export function runTool(command: string, args: readonly string[], input = ""): string {
  const { error, status, stdout, stderr } = spawnSync(command, args, {
    ...{ input, encoding: "utf8", env: toolEnvironment },
  });
  if (error !== undefined) throw error;
  if (status === 0) return stdout;
  const said = (stderr || stdout).trim().replaceAll("\n", "; ");
  throw new Error(`${[command, ...args].join(" ")}: ${said || `exit code ${status}`}`);
}

export type Tool = "ip" | "tc" | "bridge";

/** A line each, in one namespace; none after the first that fails. */
export function runBatch(tool: Tool, namespace: string, lines: readonly string[]): void {
  if (lines.length > 0) runTool(tool, ["-n", namespace, "-batch", "-"], `${lines.join("\n")}\n`);
}

/** What this kernel can do to packets besides losing all of them. */
export type Abilities = {
  /** Delays, loses, repeats and reorders (sch_netem). */
  readonly netem: boolean;
  /** Slows down (sch_tbf). */
  readonly shaping: boolean;
  /** Sends single packets another way (cls_u32, act_mirred). */
  readonly detours: boolean;
};

function works(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** Makes a pair of namespaces with a cable and a bridge, and takes them away; a reason if that fails. */
export function probeNamespaces(): Abilities | string {
  if (process.platform !== "linux") return "only Linux has them";
  if (!works(() => runTool("ip", ["-V"]))) return "there is no ip, which is part of iproute2";
  const name = `rv-${process.pid}-probe`;
  try {
    runTool("ip", ["netns", "add", name]);
  } catch (error) {
    const user = process.getuid?.() === 0 ? "" : " (and this is not root)";
    return `${(error as Error).message}${user}`;
  }
  try {
    runBatch("ip", name, [
      "link add name bridge type bridge",
      "link add name one type veth peer name other",
      "link set one master bridge",
      "rule add pref 5 from 10.0.0.1 blackhole",
    ]);
    runTool("ip", ["netns", "exec", name, "true"]);
    const tc = (...lines: readonly string[]) => works(() => runBatch("tc", name, lines));
    return {
      netem: tc("qdisc add dev one root netem delay 1ms", "qdisc del dev one root"),
      shaping: tc("qdisc add dev one root tbf rate 1mbit burst 3000b latency 100ms"),
      detours: tc(
        "qdisc add dev other clsact",
        "filter add dev other egress protocol ip u32 match u16 3 3 at 4 action mirred egress redirect dev one",
      ),
    };
  } catch (error) {
    return (error as Error).message;
  } finally {
    works(() => runTool("ip", ["netns", "del", name]));
  }
}
