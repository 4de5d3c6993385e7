/** SQLSTATE of what waited longer than lock_timeout, which the functions of pushes set for themselves. */
const LOCK_NOT_AVAILABLE = "55P03";

/** When what is held up by another's open transaction is tried again, seconds: until then it holds nobody else up. */
export const LOCKED_PATIENCE = 2;

export function isLocked(error: unknown): boolean {
  return (error as { code?: string }).code === LOCK_NOT_AVAILABLE;
}
