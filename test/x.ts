import { chaos } from '../src/sim/chaos.ts'
for (let seed = Number(process.argv[2]); seed <= Number(process.argv[3]); seed++) {
  try { const r = await chaos({ seed, operations: 5, severity: Number(process.argv[4]), pieces: true }); console.log(seed, JSON.stringify(r)) }
  catch (e) { console.log(seed, String(e).slice(0, Number(process.argv[5] ?? 300))) }
}
