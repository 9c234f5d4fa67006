import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemMount } from '../../src/bay/system-mount.ts'
import { mountsIn } from '../../src/machine/mounts.ts'

const table = `22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
36 28 8:1 / /mnt/disk rw,noatime shared:20 - ext4 /dev/sda1 rw
37 28 8:2 / /mnt/two\\040words rw shared:21 - ext4 /dev/sda2 rw
`

t.test('what is mounted is read from the kernel’s table, not from the disk', async (t) => {
  t.same(
    mountsIn(table).map(({ at }) => at),
    ['/proc', '/mnt/disk', '/mnt/two words'],
  )
  const folder = t.testdir({ table })
  const requests = join(folder, 'run/release')
  const options = { unit: 'mnt-disk.mount', requests, table: join(folder, 'table') }
  const disk = systemMount({ ...options, mount: '/mnt/disk' })
  t.equal(disk.isThere(), true)
  t.equal(systemMount({ ...options, mount: '/mnt' }).isThere(), false)
  writeFileSync(options.table, '')
  t.equal(disk.isThere(), false)
  await disk.release()
  await disk.release()
  t.same(readdirSync(requests), ['mnt-disk.mount'])
  t.equal(disk.isThere(), true, 'until all of it was done')
  await disk.keep()
  await disk.keep()
  t.same(readdirSync(requests), [])
  t.equal(disk.isThere(), false)
})
