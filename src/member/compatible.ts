/** Whether two programs may work on the same group. */
import type { AnyDefinedValue } from "../value/types.js";

export type ValueIdentity = {
  readonly valueName: string;
  readonly valueVersion: number;
  readonly compatibleVersions: readonly number[];
};

/** null, or why not, in words for both sides. `them` names the other side. */
export function findMismatch(
  definition: AnyDefinedValue,
  other: ValueIdentity,
  us: string,
  them: string,
): string | null {
  if (definition.name !== other.valueName) {
    return (
      `${us} serves value "${definition.name}", ${them} has value "${other.valueName}"; ` +
      `use another group name or the same value`
    );
  }
  const { valueVersion, compatibleVersions } = other;
  const agrees =
    definition.version === valueVersion ||
    definition.compatibleVersions.includes(valueVersion) ||
    compatibleVersions.includes(definition.version);
  if (agrees) return null;
  return (
    `${us} has version ${definition.version} of value "${definition.name}", ${them} has version ` +
    `${valueVersion}; list the other in compatibleVersions if they may run side by side`
  );
}
