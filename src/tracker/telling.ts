/** What is told, and taken, of pillars that leave and of room that can not be used. */
import type { Client } from '../client/client.ts'
import { compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { Leaving, Unusable } from '../protocol/words.ts'
import type { View } from '../view/view.ts'
import type { Members } from './roles.ts'
import { scarceWithout, type Words } from './words.ts'

export interface TellingParts {
  readonly client: Client
  readonly words: Words
  /** Of collections in fragments, once there are some. */
  care(): { readonly members: Members; readonly view: View } | undefined
  /** Somebody counts no more, or again: all are to know, and what is scarce now is looked for. */
  changed(): void
}

export function telling({ client, words, care, changed }: TellingParts) {
  const { world, name, directory } = client

  /** Undefined when it may be so; else why not, and what to do. */
  function refused(
    { pillar, word, force }: MessageOf<'SayOfPillarRequest'>,
    scarce: readonly unknown[],
  ): string | undefined {
    if (directory.identity(pillar)?.role !== 'pillar')
      return `${pillar} is no pillar of this archive`
    if (word === 'lost' && client.line.presence(pillar) === 'online')
      return `${pillar} is there; \`retire\` moves its copies away first, or switch it off`
    return scarce.length > 0 && !force ? 'too few pillars would be left' : undefined
  }
  return {
    async hear(
      request: MessageOf<'SayOfPillarRequest'>,
    ): Promise<MessageOf<'SayOfPillarFinalResponse'>> {
      const { pillar, word, conversation, page, from } = request
      const scarce = word ? scarceWithout(directory.document(), pillar, words.leaving()) : []
      const why = refused(request, scarce)
      if (why === undefined) {
        await words.say(pillar, word)
        world.log.warn('words.said', { pillar, word: word ?? 'none' })
        if (word === 'lost') await care()?.members.lost(pillar)
        changed()
      }
      const code: ResponseCode = why === undefined ? 'OPERATION_COMPLETED' : 'FAILURE'
      return compose<'SayOfPillarFinalResponse'>(world, name, {
        ...{ type: 'SayOfPillarFinalResponse', conversation, page, to: [from], pillar: name },
        responseInfo: { code, ...(why === undefined ? {} : { text: why }) },
        scarce,
      })
    },
    /** Whoever was lost and is there again is not lost. */
    async arrived(pillar: string): Promise<void> {
      if (words.of(pillar) !== 'lost') return
      await words.say(pillar, undefined)
      world.log.warn('words.back', { pillar })
      changed()
    },
    async leaving(): Promise<Leaving[]> {
      const told: Leaving[] = []
      for (const pillar of words.leaving())
        for (const { name: collection, pillars, fragments } of directory.document().collections) {
          if (!pillars.includes(pillar)) continue
          const about = { pillar, word: words.of(pillar) ?? 'retired', collection }
          const counts = fragments && (await elsewhere(collection, pillar, fragments.copies))
          told.push({ ...about, ...counts })
        }
      return told
    },
    unusable(): Unusable[] {
      const members = care()?.members
      return directory.document().collections.flatMap(({ name: collection, fragments }) =>
        fragments && members
          ? [...members.unusable(collection)].map(([pillar, bytes]) => ({
              ...{ collection, pillar, bytes },
            }))
          : [],
      )
    },
  }

  /** Of what it holds, how many have too few copies on those that count. */
  async function elsewhere(
    collection: string,
    pillar: string,
    copies: number,
  ): Promise<Pick<Leaving, 'fragments' | 'fragmentsLeft'>> {
    const cared = care()
    if (!cared) return {}
    const counting = cared.members.counting(collection)
    const histogram = await cared.view.histogram(collection, counting, pillar)
    const needed = Math.min(copies, Math.max(1, counting.length))
    let [fragments, fragmentsLeft] = [0, 0]
    for (const [have, count] of histogram) {
      fragments += count
      if (have < needed) fragmentsLeft += count
    }
    return { fragments, fragmentsLeft }
  }
}
