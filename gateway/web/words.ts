/**
 * Words for states and happenings: which key of the language file says what, and with which tone.
 *
 * @module
 */
import { t, tIfKnown } from './language.ts'
import type { ActivityEntry, GrantFacts, InboxItem, LinkFacts, ShareFacts } from './wire.ts'

/** Whether the owner has still to answer it. */
export function isWaiting(item: InboxItem): boolean {
  return item.kind === 'grant' ? item.state === 'granted' : item.state === 'requested'
}

/** Whether someone can still open the document through it. */
export function isLive(share: ShareFacts): boolean {
  if (share.kind === 'link') return share.state === 'live'
  return share.direction === 'given' && (share.state === 'granted' || share.state === 'accepted')
}

/** A given grant's or a link's state in words. */
export function shareState(share: ShareFacts): {
  readonly text: string
  readonly tone: 'good' | 'attention' | 'plain'
} {
  const tone =
    share.kind === 'grant' && share.state === 'granted'
      ? 'attention'
      : isLive(share)
        ? 'good'
        : 'plain'
  const state: LinkFacts['state'] | GrantFacts['state'] = share.state
  return { text: t(`shareState.${share.kind}.${state}` as 'shareState.grant.accepted'), tone }
}

/** What happened, in a sentence: by the action's name, or the name itself in plain letters. */
export function activitySentence(entry: ActivityEntry): string {
  const values = {
    document: entry.document?.name ?? t('activity.aDocument'),
    who: actorName(entry)
  }
  const own = entry.actor === 'owner'
  return (
    (own ? tIfKnown(`activity.own.${entry.action}`, values) : undefined) ??
    tIfKnown(`activity.actions.${entry.action}`, values) ??
    t('activity.other', { action: entry.action.replaceAll('-', ' '), ...values })
  )
}

/** Who did it, as a name. */
export function actorName(entry: ActivityEntry): string {
  if (entry.actor === 'owner') return t('activity.you')
  if (entry.actor === 'link') return t('activity.someone')
  return entry.actorName ?? t('activity.aContact')
}
