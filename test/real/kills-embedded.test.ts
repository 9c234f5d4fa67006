import { killStories } from './kills.ts'

await killStories('embedded')
