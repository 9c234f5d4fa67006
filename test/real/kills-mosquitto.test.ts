import { spawnSync } from 'node:child_process'
import t from 'tap'
import { killStories } from './kills.ts'

const name = 'kills in the middle of transfers, with mosquitto'
if (spawnSync('mosquitto', ['-h']).error === undefined) await killStories('mosquitto')
else if (process.env.REQUIRE_FAULTS === '1') t.fail(`${name}: mosquitto is not installed`)
else t.test(name, { skip: 'mosquitto is not installed' }, async () => {})
