/**
 * PORT: a small durable map for what is not about one file: session numbers, the cached archive document, the
 * tracker's owed copies, a client's unfinished work. Values are short texts, mostly JSON.
 */
export interface State {
  get(key: string): Promise<string | undefined>
  /** Entries whose key begins with `prefix`, sorted by key: all, or a page of them. */
  list(prefix: string, page?: StatePage): Promise<[key: string, value: string][]>
  /** How many keys begin so. */
  count(prefix: string): Promise<number>
  /** All puts and removals (`undefined`) or none; resolves only once they would survive a power cut. */
  change(entries: readonly (readonly [key: string, value: string | undefined])[]): Promise<void>
  close(): Promise<void>
}

export interface StatePage {
  /** Exclusive: the last key of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}
