/** How long it will take: an estimate of the pillar about itself, in milliseconds. */

/** Until something is measured, a slow home link: 2.5 MB/s. */
const bytesPerMs = 2_500

export const bytesToDeliver = (bytes: number): number => Math.ceil(bytes / bytesPerMs)
