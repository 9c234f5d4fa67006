/** A small folder to try with, when none is named. */
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const files: Record<string, string | Uint8Array> = {
  'letter to Grandma.txt':
    'Dear Grandma,\n\nthe photographs are safe now: on three small machines in three houses.\n\nLove, Ann\n',
  'recipes/Käsekuchen.txt': '200 g flour, 100 g butter, 500 g curd, 4 eggs, patience.\n',
  'recipes/crêpes 🥞.txt': '250 g flour, 4 eggs, half a litre of milk. Rest for an hour.\n',
  'accounts/2025 (100%).csv': 'month;euro\nJanuary;12\nFebruary;11\n',
  'accounts/empty.csv': '',
  'pictures/holiday/sunset.bmp': picture(320, 240, (x, y) => [
    255 - (y >> 1),
    120 - (y >> 2),
    (x + y) & 63,
  ]),
  'pictures/holiday/sea.bmp': picture(320, 240, (x, y) => [
    20,
    90 + ((x ^ y) & 31),
    160 + (y >> 2),
  ]),
}

/** Writes the sample below `folder` unless it is there; the same bytes and times each time. */
export function writeSample(folder: string): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    if (existsSync(path)) continue
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    utimesSync(path, 1_753_000_000, 1_753_000_000)
  }
  return folder
}

/** An uncompressed bitmap, 24 bits a pixel. */
function picture(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number],
): Uint8Array {
  const row = width * 3
  const bytes = Buffer.alloc(54 + row * height)
  bytes.write('BM')
  bytes.writeUInt32LE(bytes.length, 2)
  bytes.writeUInt32LE(54, 10)
  bytes.writeUInt32LE(40, 14)
  bytes.writeInt32LE(width, 18)
  bytes.writeInt32LE(height, 22)
  bytes.writeUInt16LE(1, 26)
  bytes.writeUInt16LE(24, 28)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [red, green, blue] = colour(x, y)
      bytes.set(
        [blue, green, red].map((value) => Math.max(0, Math.min(255, value))),
        54 + (height - 1 - y) * row + x * 3,
      )
    }
  return bytes
}
