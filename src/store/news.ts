/** What a volume tells by itself: it is kept until somebody listens. */
import type { News } from './store.ts'

/** Before anybody listens; beyond it, only the log knows. */
const keptMax = 100

export interface NewsDesk {
  tell(news: News): void
  watch(tell: (news: News) => void): void
}

export function newsDesk(): NewsDesk {
  const kept: News[] = []
  let listener: ((news: News) => void) | undefined
  return {
    tell(news) {
      if (listener) listener(news)
      else if (kept.length < keptMax) kept.push(news)
    },
    watch(tell) {
      listener = tell
      for (const news of kept.splice(0)) tell(news)
    },
  }
}
