/**
 * The page of the public listener: opens a share link at `/s/<id>`, explains an invitation at `/i`.
 *
 * @module
 */
import { mount } from 'svelte'
// oxlint-disable-next-line import/no-unassigned-import -- a style sheet has nothing to give
import '../app.css'
import { loadLanguage } from '../language.ts'
import english from '../languages/en.json'
import InvitationPage from './InvitationPage.svelte'
import SharePage from './SharePage.svelte'

const target = document.getElementById('page')
if (target === null) throw new Error('the page has no place to be drawn in')

// The key leaves the address bar, history and screenshots at once; it stays in this page's memory alone.
const secret = location.hash.slice(1)
const address = location.href
const id = /^\/s\/([^/]+)$/.exec(location.pathname)?.[1]
if (id !== undefined && secret !== '') history.replaceState(null, '', location.pathname)

await loadLanguage(english)
if (id === undefined) mount(InvitationPage, { target, props: { address } })
else mount(SharePage, { target, props: { id, secret } })
