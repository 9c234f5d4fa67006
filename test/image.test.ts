// What `npm run image` does, as far as it goes without a whole system: that is tried by its --boot-test.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { makeCard } from '../scripts/image/disk.ts'
import { initrd, withDependencies } from '../scripts/image/initrd.ts'
import { needs } from './support/needs.ts'

const root = resolve(import.meta.dirname, '..')
const script = join(root, 'scripts/image.ts')

function image(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

t.test('a dry run says every step, and does none', async (t) => {
  const { status, stdout } = image('--board', 'rpi4', '--dry-run', '--out', '/nowhere/card.img')
  t.equal(status, 0)
  t.match(stdout, /^mmdebstrap .*--arch=arm64 .*raspi-firmware.* bookworm /m)
  t.match(stdout, /dpkg -i \/tmp\/agent\.deb$/m)
  t.match(stdout, /mke2fs -d, sfdisk, dd -> \/nowhere\/card\.img$/m)
  t.notMatch(image('--board', 'generic', '--dry-run').stdout, /raspi-firmware|non-free/)
})

t.test('a board that it can not do is told where to go', async (t) => {
  t.match(image('--board', 'rpi5').stderr, /the vendor's system and our package/)
  t.match(image('--board', 'toaster').stderr, /toaster is none of rpi3, rpi4, /)
  t.match(image().stderr, /which board\?/)
})

const dependencies = [
  'kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/jbd2/jbd2.ko',
  'kernel/drivers/usb/storage/uas.ko: kernel/drivers/scsi/scsi_mod.ko',
  'kernel/drivers/net/virtio_net.ko:',
  '',
].join('\n')

t.test('drivers come after what they need; what is built in is left out', async (t) => {
  t.same(
    [...withDependencies(dependencies, ['ext4', 'mmc_block'])],
    ['kernel/fs/jbd2/jbd2.ko', 'kernel/lib/crc16.ko', 'kernel/fs/ext4/ext4.ko'],
  )
})

t.test('the first file system is an archive that the kernel unpacks', async (t) => {
  const system = t.testdir({})
  const put = (path: string, text: string): void => {
    mkdirSync(join(system, path, '..'), { recursive: true })
    writeFileSync(join(system, path), text)
  }
  put('bin/busybox', 'busybox')
  put('lib/modules/6.1/modules.dep', dependencies)
  for (const name of ['fs/ext4/ext4', 'fs/jbd2/jbd2', 'lib/crc16'])
    put(`lib/modules/6.1/kernel/${name}.ko`, name)
  const archive = gunzipSync(initrd(system, '6.1', ['ext4']))
  const names: string[] = []
  for (let at = 0; ; ) {
    const field = (n: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * n, at + 14 + 8 * n), 16)
    t.equal(archive.toString('latin1', at, at + 6), '070701')
    const name = archive.toString('utf8', at + 110, at + 110 + field(11) - 1)
    if (name === 'TRAILER!!!') break
    names.push(name)
    at += Math.ceil((110 + field(11)) / 4) * 4 + Math.ceil(field(6) / 4) * 4
  }
  t.ok(names.includes('init'))
  t.ok(names.includes('lib/modules/6.1/kernel/fs/jbd2/jbd2.ko'))
  for (const name of names.filter((one) => one.includes('/')))
    t.ok(names.indexOf(join(name, '..')) < names.indexOf(name), `the folder of ${name} is there`)
})

const tools = needs(t, ['mkfs.vfat', 'mcopy', 'mdir', 'mke2fs', 'sfdisk', 'debugfs', 'blkid'])

t.test('a card has both partitions, with their names and files', tools, async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'colonnade-card-'))
  t.teardown(() => rmSync(base, { recursive: true, force: true }))
  const [boot, system] = [join(base, 'boot'), join(base, 'system')]
  mkdirSync(join(boot, 'attic'), { recursive: true })
  writeFileSync(join(boot, 'colonnade.toml'), 'config = 1\n')
  writeFileSync(join(boot, 'attic', 'key.pem'), 'secret')
  mkdirSync(join(system, 'etc'), { recursive: true })
  writeFileSync(join(system, 'etc/hostname'), 'colonnade\n')
  const card = join(base, 'card.img')
  makeCard({ image: card, boot, system, rootMib: 16 })
  const run = (command: string, ...args: string[]): string =>
    spawnSync(command, args, { encoding: 'utf8' }).stdout
  t.match(run('sfdisk', '--dump', card), /start=\s+2048, size=\s+524288, type=c, bootable/)
  t.match(
    run('mdir', '-b', '-/', '-i', `${card}@@1M`, '::'),
    /colonnade\.toml[\s\S]*key\.pem|key\.pem[\s\S]*colonnade\.toml/i,
  )
  t.match(run('blkid', '-p', '-O', `${257 * 1024 * 1024}`, card), /LABEL="colonnade-root"/)
  const part = join(base, 'part')
  run('dd', `if=${card}`, `of=${part}`, 'bs=1M', 'skip=257', 'count=16', 'status=none')
  t.equal(run('debugfs', '-R', 'cat /etc/hostname', part), 'colonnade\n')
})
