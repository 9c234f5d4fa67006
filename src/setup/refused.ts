/** Why somebody without a certificate is not let in: one sentence, and the status it is said with. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, sentence: string) {
    super(sentence)
    this.status = status
  }
}
