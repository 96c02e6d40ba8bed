/**
 * Words for states and happenings: which key of the language file says what, and with which tone.
 *
 * @module
 */
import { t, tIfKnown } from './language.ts'
import type { ActivityEntry, InboxItem, ShareFacts } from './wire.ts'

/** Whether the owner has still to answer it. */
export function isWaiting(item: InboxItem): boolean {
  return item.state === AWAITED[item.kind]
}

/** The state in which each kind waits for the owner. Requests of credentials are answered in the institution's console. */
const AWAITED: Readonly<Record<InboxItem['kind'], string | undefined>> = {
  grant: 'granted',
  request: 'requested',
  'credential-offer': 'offered',
  'credential-request': undefined
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
  const text =
    share.kind === 'grant'
      ? t(`shareState.grant.${share.state}`)
      : t(`shareState.link.${share.state}`)
  return { text, tone }
}

/** What happened, in a sentence: by the action's name, or the name itself in plain letters. */
export function activitySentence(entry: ActivityEntry): string {
  const values = {
    document: entry.document?.name ?? foreignName(entry) ?? t('activity.aDocument'),
    who: actorName(entry),
    with: partner(entry)
  }
  const own = entry.actor === 'owner'
  return (
    (own ? tIfKnown(`activity.own.${entry.action}`, values) : undefined) ??
    tIfKnown(`activity.actions.${entry.action}`, values) ??
    t('activity.other', { action: entry.action.replaceAll('-', ' '), ...values })
  )
}

/** The contact an entry of the owner's concerns, by the name it had then. */
function partner(entry: ActivityEntry): string {
  const name = entry.action.startsWith('contact')
    ? detail(entry, 'name')
    : (detail(entry, 'to') ?? detail(entry, 'from'))
  return name ?? t('activity.aContact')
}

/** The name of a document that is not the owner's, which an entry on a grant carries among its details. */
function foreignName(entry: ActivityEntry): string | undefined {
  return entry.action.startsWith('contact') ? undefined : detail(entry, 'name')
}

function detail(entry: ActivityEntry, name: string): string | undefined {
  const value = new Map(Object.entries(entry.details ?? {})).get(name)
  return typeof value === 'string' ? value : undefined
}

/** Who did it, as a name. */
function actorName(entry: ActivityEntry): string {
  if (entry.actor === 'owner') return t('activity.you')
  if (entry.actor === 'locker') return t('activity.locker')
  if (entry.actor === 'link') return t('activity.someone')
  return entry.actorName ?? t('activity.aContact')
}
