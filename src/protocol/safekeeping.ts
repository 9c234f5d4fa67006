/** Between pillars and the tracker's exchange: the sealed part of the recovery kit, and who has the newer document. */

export const recoveryPath = '/recovery'
/** Of the answer: the version of the archive document that the tracker knows. */
export const documentHeader = 'document'
/** Of the answer: the tracker was restored, and wants what pillars have. */
export const recoveringHeader = 'recovering'
/** Sealed, with archive document and invitations. */
export const partBytesMax = 8 * 1024 * 1024

export const partTag = (version: number): string => `"${version}"`
/** Undefined when it is none. */
export function partVersion(tag: string | undefined): number | undefined {
  const digits = /^"(\d{1,15})"$/.exec(tag ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}
