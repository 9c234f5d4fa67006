/**
 * Takes from a 64-bit ELF program what only debuggers read: symbols and debug information behind the last section that is
 * loaded, a seventh of Node.js. Done here so that a build needs no binutils and gives the same bytes everywhere.
 */

const headerBytes = 64
const sectionBytes = 64
/** Type of a section without bytes in the file, and the flag of one that is loaded (ELF-64 Object File Format). */
const noBits = 8
const allocated = 2n

export function strip(file: Buffer): Buffer {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1)
    throw new Error('not a 64-bit little-endian ELF program')
  const count = file.readUInt16LE(0x3c)
  const table = Number(file.readBigUInt64LE(0x28))
  const section = (at: number): Buffer =>
    file.subarray(table + at * sectionBytes, table + (at + 1) * sectionBytes)
  const offset = (header: Buffer): number => Number(header.readBigUInt64LE(24))
  const size = (header: Buffer): number => Number(header.readBigUInt64LE(32))
  const isLoaded = (header: Buffer): boolean => (header.readBigUInt64LE(8) & allocated) !== 0n

  let last = 0
  for (let at = 1; at < count; at++) if (isLoaded(section(at))) last = at
  const kept = Array.from({ length: last + 1 }, (_, at) => section(at))
  const ends = kept.map((one) => offset(one) + (one.readUInt32LE(4) === noBits ? 0 : size(one)))
  const end = Math.max(headerBytes, ...ends)
  const names = section(file.readUInt16LE(0x3e))
  const nameBytes = file.subarray(offset(names), offset(names) + size(names))

  const namesHeader = Buffer.from(names)
  namesHeader.writeBigUInt64LE(BigInt(end), 24)
  const newTable = Math.ceil((end + nameBytes.length) / 8) * 8
  const stripped = Buffer.alloc(newTable + (kept.length + 1) * sectionBytes)
  file.copy(stripped, 0, 0, end)
  nameBytes.copy(stripped, end)
  Buffer.concat([...kept, namesHeader]).copy(stripped, newTable)
  stripped.writeBigUInt64LE(BigInt(newTable), 0x28)
  stripped.writeUInt16LE(kept.length + 1, 0x3c)
  stripped.writeUInt16LE(kept.length, 0x3e)
  return stripped
}
