/** What `doctor` finds: one line each. */
export interface Finding {
  readonly check: string
  /** `unknown`: it could not be looked at here, which is no fault. */
  readonly is: 'ok' | 'warn' | 'bad' | 'unknown'
  readonly text: string
  /** What to do about it. */
  readonly hint?: string
}

export const ok = (check: string, text: string): Finding => ({ check, is: 'ok', text })
export const unknown = (check: string, text: string): Finding => ({ check, is: 'unknown', text })
export const warn = (check: string, text: string, hint: string): Finding => ({
  check,
  is: 'warn',
  text,
  hint,
})
export const bad = (check: string, text: string, hint: string): Finding => ({
  check,
  is: 'bad',
  text,
  hint,
})
