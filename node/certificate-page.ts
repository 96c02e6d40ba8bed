/**
 * What stands on a certificate, worked out before any typesetting: titles, labels in one or two languages, the
 * claims as fields, groups and tables, dates in words. The template only sets it, so a designer changes how a
 * certificate looks and never what it says.
 *
 * The page is for people and proves nothing: what counts is the credential attached to the file. So a value is shown
 * as the credential has it (no grouping of digits, no rounding); only dates are put into words.
 *
 * @module
 */
import { fieldsOf, type CredentialType } from '../protocols/credential/credential-type.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../protocols/credential/json.ts'
import { certificateWords, type CertificateWords } from './certificate-words.ts'

/** Most columns of a table on A4 upright; entries with more are set one under the other. */
const TABLE_COLUMNS_MAX = 9

/** Most pictures inside claims that are drawn: a portrait and a signature; the rest is only mentioned. */
const IMAGES_MAX = 4

/** Names under which a subject's own name is looked for, the fullest first. */
const NAME_FIELDS = ['name', 'fullName', 'recipient', 'holders', 'owners'] as const

/** A text in the first language and, where there is one that differs, in the second. */
interface Bilingual {
  readonly first: string
  readonly second?: string
}

/** One row of a list of fields. */
interface PageRow {
  readonly label: Bilingual
  readonly value: string
  /** Path of a picture instead of a value. */
  readonly image?: string
}

type PageBlock =
  | { readonly kind: 'fields'; readonly label?: Bilingual; readonly rows: readonly PageRow[] }
  | {
      readonly kind: 'table'
      readonly label: Bilingual
      readonly columns: readonly { readonly label: Bilingual; readonly number: boolean }[]
      readonly rows: readonly (readonly string[])[]
    }

/** Everything a template gets, as JSON in `sys.inputs.page`. */
export interface CertificatePage {
  readonly language: string
  readonly second?: string
  readonly title: Bilingual
  /** Title of the document, for a reader's window and for a screen reader. */
  readonly documentTitle: string
  readonly issuer: Bilingual & { readonly id: string }
  readonly holder?: string
  /** Day the document is dated, `[year, month, day]`. */
  readonly date: readonly [number, number, number]
  readonly blocks: readonly PageBlock[]
  /** Issued on, valid until, ids. */
  readonly facts: readonly PageRow[]
  readonly words: { readonly [Word in keyof CertificateWords]: Bilingual }
  readonly qr: {
    readonly kind: 'compact' | 'url'
    readonly modules: number
    readonly url?: string
    readonly hash?: string
  }
  readonly verifyUrl?: string
  /** Path of the logo's picture, undefined without one. */
  readonly logo?: string
}

/** A picture the page refers to by path. */
export interface PageImage {
  readonly path: string
  readonly bytes: Uint8Array
}

export interface PageInput {
  readonly credential: JsonObject
  readonly type: CredentialType
  readonly language: string
  readonly secondLanguage?: string
  readonly issuerNames: Readonly<Record<string, string>>
  /** IANA name of the zone whose days are printed. */
  readonly timeZone: string
}

/** What {@link pageOf} works out; the renderer adds code, logo and address. */
export type PageText = Omit<CertificatePage, 'qr' | 'logo' | 'verifyUrl'>

/** The page of a credential and the pictures inside its claims. */
export function pageOf(input: PageInput): { page: PageText; images: readonly PageImage[] } {
  const text = new PageWriter(input)
  return { page: text.page(), images: text.images }
}

/**
 * The name of somebody in a language: in it, in it without region, in English, in whatever comes first. Undefined
 * only where there is no name at all.
 */
function nameIn(names: Readonly<Record<string, string>>, tag: string): string | undefined {
  for (const each of [tag, baseOf(tag), 'en']) {
    if (Object.hasOwn(names, each)) return names[each]
  }
  return Object.values(names)[0]
}

/** Two or three letters: a tag without script and region. */
function baseOf(tag: string): string {
  return tag.split('-')[0] ?? tag
}

class PageWriter {
  readonly images: PageImage[] = []
  readonly #input: PageInput
  readonly #second: string | undefined
  readonly #labels: ReadonlyMap<string, Bilingual>
  readonly #order: ReadonlyMap<string, number>

  constructor(input: PageInput) {
    this.#input = input
    this.#second = input.secondLanguage === input.language ? undefined : input.secondLanguage
    const first = fieldsOf(input.type, input.language)
    const second = new Map(
      this.#second === undefined
        ? []
        : fieldsOf(input.type, this.#second).map((field) => [field.pointer, field.label] as const)
    )
    this.#labels = new Map(
      first.map(({ pointer, label }) => [pointer, bilingual(label, second.get(pointer))] as const)
    )
    this.#order = new Map(first.map(({ pointer }, index) => [pointer, index] as const))
  }

  page(): PageText {
    const { credential, language } = this.#input
    const subjects = subjectsIn(credential)
    const title = this.#names(this.#typeNames(), this.#input.type.id)
    const holder = subjects.map(nameOfSubject).find((name) => name !== undefined)
    const issued = dateOf(credential['validFrom'] ?? credential['issuanceDate'])
    return {
      language: baseOf(language),
      ...(this.#second === undefined ? {} : { second: baseOf(this.#second) }),
      title,
      documentTitle: holder === undefined ? title.first : `${title.first}: ${holder}`,
      issuer: {
        ...this.#names(this.#input.issuerNames, idOf(credential['issuer']) ?? ''),
        id: idOf(credential['issuer']) ?? ''
      },
      ...(holder === undefined ? {} : { holder: holder }),
      date: this.#day(issued ?? new Date(0)),
      blocks: subjects.flatMap((subject) => this.#group(subject, '', undefined)),
      facts: this.#facts(subjects, issued),
      words: this.#words()
    }
  }

  #facts(subjects: readonly JsonObject[], issued: Date | undefined): readonly PageRow[] {
    const { credential } = this.#input
    const words = this.#words()
    const until = dateOf(credential['validUntil'] ?? credential['expirationDate'])
    return [
      ...(issued === undefined ? [] : [factRow(words.issuedOn, this.#date(issued))]),
      factRow(words.validUntil, until === undefined ? words.noEnd.first : this.#date(until)),
      ...textRow(credential['id'], (id) => factRow(words.credentialId, id)),
      ...subjects.flatMap((subject) => textRow(subject['id'], (id) => factRow(words.holderId, id)))
    ]
  }

  /** The members of an object: values as rows, lists of objects as tables, objects as groups, in the order of the type. */
  #group(members: JsonObject, at: string, label: Bilingual | undefined): readonly PageBlock[] {
    const blocks: PageBlock[] = []
    let rows: PageRow[] = []
    let heading = label
    const close = (): void => {
      if (rows.length === 0) return
      blocks.push({ kind: 'fields', ...(heading === undefined ? {} : { label: heading }), rows })
      rows = []
      heading = undefined
    }
    for (const [name, member] of this.#ordered(members, at)) {
      const pointer = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
      const own = this.#label(pointer, name)
      const row = this.#row(own, member)
      if (row !== undefined) {
        rows.push(row)
        continue
      }
      close()
      if (isJsonObject(member)) blocks.push(...this.#group(member, pointer, own))
      if (Array.isArray(member)) blocks.push(...this.#list(member, pointer, own))
    }
    close()
    return blocks
  }

  /** A list with objects in it: a table where all their members are plain values, groups one after the other where not. */
  #list(entries: readonly JsonValue[], at: string, label: Bilingual): readonly PageBlock[] {
    const objects = entries.filter(isJsonObject)
    const names = new Map<string, boolean>()
    for (const [name, member] of objects.flatMap((entry) => this.#ordered(entry, `${at}/*`))) {
      names.set(name, (names.get(name) ?? true) && (member === null || typeof member === 'number'))
    }
    const ordered = this.#inOrder([...names.keys()], `${at}/*`)
    const plain = objects.every((entry) =>
      ordered.every((name) => !Object.hasOwn(entry, name) || this.#plain(entry[name]) !== undefined)
    )
    if (!plain || ordered.length > TABLE_COLUMNS_MAX || objects.length !== entries.length) {
      return entries.flatMap((entry, index) => {
        const numbered = bilingual(
          `${label.first} ${index + 1}`,
          label.second === undefined ? undefined : `${label.second} ${index + 1}`
        )
        if (isJsonObject(entry)) return this.#group(entry, `${at}/*`, numbered)
        const value = this.#plain(entry)
        return value === undefined
          ? []
          : [{ kind: 'fields' as const, rows: [{ label: numbered, value }] }]
      })
    }
    const columns = ordered.map((name) => ({
      label: this.#label(`${at}/*/${name}`, name),
      number: names.get(name) ?? false
    }))
    const rows = objects.map((entry) =>
      ordered.map((name) =>
        Object.hasOwn(entry, name) ? (this.#plain(entry[name], true) ?? '') : ''
      )
    )
    return [{ kind: 'table', label, columns, rows }]
  }

  /** A row, for what fits into one: a value, a list of values, a picture, an amount with its currency. */
  #row(label: Bilingual, value: JsonValue): PageRow | undefined {
    if (typeof value === 'string' && value.startsWith('data:')) {
      const image = this.#image(value)
      return image === undefined
        ? { label, value: `${/^data:([^;,]*)/.exec(value)?.[1] ?? ''} …` }
        : { label, value: '', image }
    }
    const shown = this.#plain(value) ?? amountIn(value)
    return shown === undefined ? undefined : { label, value: shown }
  }

  /** What fits into a cell of a table, as text; undefined for objects and lists of objects. */
  #plain(value: JsonValue | undefined, tight = false): string | undefined {
    if (value === undefined || value === null) return '–'
    if (typeof value === 'boolean') return this.#words()[value ? 'yes' : 'no'].first
    if (typeof value === 'number') return String(value)
    if (typeof value === 'string') return this.#dateIn(value, tight) ?? value
    if (!Array.isArray(value)) return undefined
    const parts = value.map((entry: JsonValue) =>
      isJsonObject(entry) ? undefined : this.#plain(entry, tight)
    )
    return parts.includes(undefined) ? undefined : parts.join(', ')
  }

  /** Pictures become files beside the template; whether their bytes are one, the compiler says. */
  #image(url: string): string | undefined {
    const match = /^data:image\/(png|jpeg);base64,([A-Za-z0-9+/]+={0,2})$/.exec(url)
    if (match === null || this.images.length === IMAGES_MAX) return undefined
    const path = `claim-${this.images.length}.${match[1] === 'png' ? 'png' : 'jpg'}`
    this.images.push({ path, bytes: Buffer.from(match[2] ?? '', 'base64') })
    return path
  }

  /** Members that are shown: not JSON-LD's own, not the subject's DID, which stands among the facts. */
  #ordered(members: JsonObject, at: string): readonly (readonly [string, JsonValue])[] {
    const names = Object.keys(members).filter(
      (name) => name !== 'type' && name !== '@context' && !(name === 'id' && at === '')
    )
    return this.#inOrder(names, at).flatMap((name) => {
      const member = members[name]
      return member === undefined ? [] : [[name, member] as const]
    })
  }

  #inOrder(names: readonly string[], at: string): readonly string[] {
    const place = (name: string): number => this.#order.get(`${at}/${name}`) ?? Infinity
    // Infinity less Infinity is no order; the sort is stable, so such names stay as the credential has them.
    return names.toSorted((one, other) =>
      place(one) === place(other) ? 0 : place(one) - place(other)
    )
  }

  #label(pointer: string, name: string): Bilingual {
    return this.#labels.get(pointer) ?? { first: name }
  }

  #typeNames(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(this.#input.type.display).map(([tag, { name }]) => [tag, name])
    )
  }

  #names(names: Readonly<Record<string, string>>, otherwise: string): Bilingual {
    return bilingual(
      nameIn(names, this.#input.language) ?? otherwise,
      this.#second === undefined ? undefined : nameIn(names, this.#second)
    )
  }

  #words(): CertificatePage['words'] {
    const first = certificateWords(this.#input.language)
    const second = this.#second === undefined ? undefined : certificateWords(this.#second)
    const pair = (word: keyof CertificateWords): Bilingual => bilingual(first[word], second?.[word])
    return {
      issuedTo: pair('issuedTo'),
      issuedOn: pair('issuedOn'),
      validUntil: pair('validUntil'),
      noEnd: pair('noEnd'),
      credentialId: pair('credentialId'),
      holderId: pair('holderId'),
      issuerId: pair('issuerId'),
      fingerprint: pair('fingerprint'),
      yes: pair('yes'),
      no: pair('no'),
      verifyCompact: pair('verifyCompact'),
      verifyUrl: pair('verifyUrl'),
      verifyFile: pair('verifyFile')
    }
  }

  /** A date of JSON in words; undefined for what is none. */
  #dateIn(text: string, tight: boolean): string | undefined {
    if (/^\d{4}-\d\d-\d\d$/.test(text)) {
      const date = dateOf(`${text}T00:00:00Z`)
      return date === undefined
        ? undefined
        : this.#format(date, 'UTC', { dateStyle: tight ? 'medium' : 'long' })
    }
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
    const date = dateOf(text)
    if (date === undefined) return undefined
    // In a field the zone is said; in a table, where all entries have the same, there is no room for it.
    const styles = tight
      ? ({ dateStyle: 'medium', timeStyle: 'short' } as const)
      : ({ dateStyle: 'long', timeStyle: 'long' } as const)
    return this.#format(date, this.#input.timeZone, styles)
  }

  #date(date: Date): string {
    return this.#format(date, this.#input.timeZone, { dateStyle: 'long' })
  }

  #format(date: Date, timeZone: string, styles: Intl.DateTimeFormatOptions): string {
    // Day before month, as where this is used; a language with a region says so itself.
    const tag = this.#input.language === 'en' ? 'en-IN' : this.#input.language
    // Figures as the rest of the page has them.
    return new Intl.DateTimeFormat(tag, { timeZone, numberingSystem: 'latn', ...styles }).format(
      date
    )
  }

  #day(date: Date): readonly [number, number, number] {
    const [year = 1970, month = 1, day = 1] = new Intl.DateTimeFormat('en-CA', {
      timeZone: this.#input.timeZone
    })
      .format(date)
      .split('-')
      .map(Number)
    return [year, month, day]
  }
}

function bilingual(first: string, second: string | undefined): Bilingual {
  return second === undefined || second === first ? { first } : { first, second }
}

function subjectsIn(credential: JsonObject): readonly JsonObject[] {
  const { credentialSubject } = credential
  const subjects: readonly JsonValue[] = Array.isArray(credentialSubject)
    ? credentialSubject
    : [credentialSubject ?? null]
  return subjects.filter(isJsonObject)
}

/** The subject's own name, a given and a family name together, or the name inside a member that is a person. */
function nameOfSubject(subject: JsonObject): string | undefined {
  const { givenName, familyName } = subject
  if (typeof givenName === 'string') {
    return typeof familyName === 'string' ? `${givenName} ${familyName}` : givenName
  }
  for (const field of NAME_FIELDS) {
    const member = Object.hasOwn(subject, field) ? subject[field] : undefined
    if (typeof member === 'string' && member !== '') return member
    const persons: readonly JsonValue[] = Array.isArray(member) ? member : [member ?? null]
    const names = persons.flatMap((person: JsonValue) =>
      isJsonObject(person) && typeof person['name'] === 'string' ? [person['name']] : []
    )
    if (names.length > 0) return names.join(', ')
  }
  return undefined
}

function idOf(issuer: JsonValue | undefined): string | undefined {
  const id = isJsonObject(issuer) ? issuer['id'] : issuer
  return typeof id === 'string' ? id : undefined
}

function factRow(label: Bilingual, value: string): PageRow {
  return { label, value }
}

function textRow(value: JsonValue | undefined, row: (text: string) => PageRow): readonly PageRow[] {
  return typeof value === 'string' ? [row(value)] : []
}

/** `{amount, currency}` and nothing else reads as one value. */
function amountIn(value: JsonValue): string | undefined {
  if (!isJsonObject(value) || Object.keys(value).length !== 2) return undefined
  const { amount, currency } = value
  return (typeof amount === 'string' || typeof amount === 'number') && typeof currency === 'string'
    ? `${currency} ${amount}`
    : undefined
}

function dateOf(value: JsonValue | undefined): Date | undefined {
  if (typeof value !== 'string') return undefined
  const date = new Date(value)
  return Number.isNaN(date.getTime()) ? undefined : date
}
