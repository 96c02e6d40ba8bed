/**
 * The few words a certificate has of its own, in English and the languages of the nine Indian scripts whose fonts are
 * shipped. What a field or a kind of credential is called comes from the credential type.
 *
 * All but English await the reading of a native speaker.
 *
 * @module
 */

/** One language's words. */
export interface CertificateWords {
  readonly issuedTo: string
  readonly issuedOn: string
  readonly validUntil: string
  /** Instead of a date, where a credential holds until it is revoked. */
  readonly noEnd: string
  readonly credentialId: string
  readonly holderId: string
  readonly issuerId: string
  readonly fingerprint: string
  readonly yes: string
  readonly no: string
  /** What to do with a code that holds the whole credential. */
  readonly verifyCompact: string
  /** What to do with a code that holds an address. */
  readonly verifyUrl: string
  /** That the file itself can be checked, and what counts. */
  readonly verifyFile: string
}

const WORDS: ReadonlyMap<string, CertificateWords> = new Map(
  Object.entries({
    en: {
      issuedTo: 'Issued to',
      issuedOn: 'Issued on',
      validUntil: 'Valid until',
      noEnd: 'No end date',
      credentialId: 'Credential id',
      holderId: 'Holder’s id',
      issuerId: 'Issuer’s id',
      fingerprint: 'Fingerprint',
      yes: 'Yes',
      no: 'No',
      verifyCompact: 'To verify: scan the code. It holds the signed credential itself.',
      verifyUrl: 'To verify: scan the code and compare the fingerprint.',
      verifyFile:
        'Or check this PDF: the signed credential is attached to it, and only that counts.'
    },
    hi: {
      issuedTo: 'धारक',
      issuedOn: 'जारी करने की तिथि',
      validUntil: 'मान्य तिथि तक',
      noEnd: 'कोई अंतिम तिथि नहीं',
      credentialId: 'प्रमाणपत्र आईडी',
      holderId: 'धारक की आईडी',
      issuerId: 'जारीकर्ता की आईडी',
      fingerprint: 'फ़िंगरप्रिंट',
      yes: 'हाँ',
      no: 'नहीं',
      verifyCompact: 'सत्यापन: कोड स्कैन करें। उसमें हस्ताक्षरित प्रमाणपत्र स्वयं है।',
      verifyUrl: 'सत्यापन: कोड स्कैन करें और फ़िंगरप्रिंट मिलाएँ।',
      verifyFile: 'या यह PDF जाँचें: हस्ताक्षरित प्रमाणपत्र इसके साथ संलग्न है, और वही मान्य है।'
    },
    mr: {
      issuedTo: 'धारक',
      issuedOn: 'जारी केल्याची तारीख',
      validUntil: 'वैध तारखेपर्यंत',
      noEnd: 'अंतिम तारीख नाही',
      credentialId: 'प्रमाणपत्र आयडी',
      holderId: 'धारकाचा आयडी',
      issuerId: 'जारीकर्त्याचा आयडी',
      fingerprint: 'फिंगरप्रिंट',
      yes: 'होय',
      no: 'नाही',
      verifyCompact: 'पडताळणी: कोड स्कॅन करा. त्यात स्वाक्षरी केलेले प्रमाणपत्रच आहे.',
      verifyUrl: 'पडताळणी: कोड स्कॅन करा आणि फिंगरप्रिंट जुळवा.',
      verifyFile: 'किंवा ही PDF तपासा: स्वाक्षरी केलेले प्रमाणपत्र तिला जोडलेले आहे आणि तेच ग्राह्य आहे.'
    },
    bn: {
      issuedTo: 'ধারক',
      issuedOn: 'প্রদানের তারিখ',
      validUntil: 'বৈধতার শেষ তারিখ',
      noEnd: 'শেষ তারিখ নেই',
      credentialId: 'প্রমাণপত্র আইডি',
      holderId: 'ধারকের আইডি',
      issuerId: 'প্রদানকারীর আইডি',
      fingerprint: 'ফিঙ্গারপ্রিন্ট',
      yes: 'হ্যাঁ',
      no: 'না',
      verifyCompact: 'যাচাই: কোডটি স্ক্যান করুন। এতে স্বাক্ষরিত প্রমাণপত্রটিই আছে।',
      verifyUrl: 'যাচাই: কোডটি স্ক্যান করুন এবং ফিঙ্গারপ্রিন্ট মিলিয়ে দেখুন।',
      verifyFile: 'অথবা এই PDF যাচাই করুন: স্বাক্ষরিত প্রমাণপত্র এর সঙ্গে সংযুক্ত, এবং সেটিই গ্রাহ্য।'
    },
    pa: {
      issuedTo: 'ਧਾਰਕ',
      issuedOn: 'ਜਾਰੀ ਕਰਨ ਦੀ ਮਿਤੀ',
      validUntil: 'ਵੈਧ ਮਿਤੀ ਤੱਕ',
      noEnd: 'ਕੋਈ ਆਖਰੀ ਮਿਤੀ ਨਹੀਂ',
      credentialId: 'ਸਰਟੀਫਿਕੇਟ ਆਈਡੀ',
      holderId: 'ਧਾਰਕ ਦੀ ਆਈਡੀ',
      issuerId: 'ਜਾਰੀਕਰਤਾ ਦੀ ਆਈਡੀ',
      fingerprint: 'ਫਿੰਗਰਪ੍ਰਿੰਟ',
      yes: 'ਹਾਂ',
      no: 'ਨਹੀਂ',
      verifyCompact: 'ਤਸਦੀਕ: ਕੋਡ ਸਕੈਨ ਕਰੋ। ਇਸ ਵਿੱਚ ਦਸਤਖਤ ਕੀਤਾ ਸਰਟੀਫਿਕੇਟ ਹੀ ਹੈ।',
      verifyUrl: 'ਤਸਦੀਕ: ਕੋਡ ਸਕੈਨ ਕਰੋ ਅਤੇ ਫਿੰਗਰਪ੍ਰਿੰਟ ਮਿਲਾਓ।',
      verifyFile: 'ਜਾਂ ਇਹ PDF ਜਾਂਚੋ: ਦਸਤਖਤ ਕੀਤਾ ਸਰਟੀਫਿਕੇਟ ਇਸ ਨਾਲ ਨੱਥੀ ਹੈ, ਅਤੇ ਉਹੀ ਮੰਨਣਯੋਗ ਹੈ।'
    },
    gu: {
      issuedTo: 'ધારક',
      issuedOn: 'જારી કર્યાની તારીખ',
      validUntil: 'માન્ય તારીખ સુધી',
      noEnd: 'કોઈ અંતિમ તારીખ નથી',
      credentialId: 'પ્રમાણપત્ર આઈડી',
      holderId: 'ધારકનું આઈડી',
      issuerId: 'જારીકર્તાનું આઈડી',
      fingerprint: 'ફિંગરપ્રિન્ટ',
      yes: 'હા',
      no: 'ના',
      verifyCompact: 'ચકાસણી: કોડ સ્કૅન કરો. તેમાં સહી કરેલું પ્રમાણપત્ર જ છે.',
      verifyUrl: 'ચકાસણી: કોડ સ્કૅન કરો અને ફિંગરપ્રિન્ટ સરખાવો.',
      verifyFile: 'અથવા આ PDF તપાસો: સહી કરેલું પ્રમાણપત્ર તેની સાથે જોડેલું છે, અને તે જ માન્ય છે.'
    },
    or: {
      issuedTo: 'ଧାରକ',
      issuedOn: 'ପ୍ରଦାନ ତାରିଖ',
      validUntil: 'ବୈଧତାର ଶେଷ ତାରିଖ',
      noEnd: 'ଶେଷ ତାରିଖ ନାହିଁ',
      credentialId: 'ପ୍ରମାଣପତ୍ର ଆଇଡି',
      holderId: 'ଧାରକଙ୍କ ଆଇଡି',
      issuerId: 'ପ୍ରଦାନକାରୀଙ୍କ ଆଇଡି',
      fingerprint: 'ଫିଙ୍ଗରପ୍ରିଣ୍ଟ',
      yes: 'ହଁ',
      no: 'ନା',
      verifyCompact: 'ଯାଞ୍ଚ: କୋଡ୍ ସ୍କାନ୍ କରନ୍ତୁ। ସେଥିରେ ସ୍ୱାକ୍ଷରିତ ପ୍ରମାଣପତ୍ର ହିଁ ଅଛି।',
      verifyUrl: 'ଯାଞ୍ଚ: କୋଡ୍ ସ୍କାନ୍ କରନ୍ତୁ ଏବଂ ଫିଙ୍ଗରପ୍ରିଣ୍ଟ ମିଳାନ୍ତୁ।',
      verifyFile: 'କିମ୍ବା ଏହି PDF ଯାଞ୍ଚ କରନ୍ତୁ: ସ୍ୱାକ୍ଷରିତ ପ୍ରମାଣପତ୍ର ଏଥିରେ ସଂଲଗ୍ନ, ଏବଂ ତାହା ହିଁ ମାନ୍ୟ।'
    },
    ta: {
      issuedTo: 'பெறுபவர்',
      issuedOn: 'வழங்கிய தேதி',
      validUntil: 'செல்லுபடியாகும் கடைசி தேதி',
      noEnd: 'முடிவு தேதி இல்லை',
      credentialId: 'சான்றிதழ் அடையாளம்',
      holderId: 'பெறுபவரின் அடையாளம்',
      issuerId: 'வழங்குநரின் அடையாளம்',
      fingerprint: 'கைரேகைக் குறி',
      yes: 'ஆம்',
      no: 'இல்லை',
      verifyCompact: 'சரிபார்க்க: குறியீட்டை ஸ்கேன் செய்யவும். கையொப்பமிட்ட சான்றிதழே அதில் உள்ளது.',
      verifyUrl: 'சரிபார்க்க: குறியீட்டை ஸ்கேன் செய்து கைரேகைக் குறியை ஒப்பிடவும்.',
      verifyFile:
        'அல்லது இந்த PDF-ஐச் சரிபார்க்கவும்: கையொப்பமிட்ட சான்றிதழ் இதனுடன் இணைக்கப்பட்டுள்ளது; அதுவே செல்லும்.'
    },
    te: {
      issuedTo: 'పొందినవారు',
      issuedOn: 'జారీ చేసిన తేదీ',
      validUntil: 'చెల్లుబాటు చివరి తేదీ',
      noEnd: 'ముగింపు తేదీ లేదు',
      credentialId: 'ధృవపత్రం ఐడి',
      holderId: 'పొందినవారి ఐడి',
      issuerId: 'జారీదారు ఐడి',
      fingerprint: 'ఫింగర్‌ప్రింట్',
      yes: 'అవును',
      no: 'కాదు',
      verifyCompact: 'ధృవీకరణ: కోడ్‌ను స్కాన్ చేయండి. సంతకం చేసిన ధృవపత్రమే అందులో ఉంది.',
      verifyUrl: 'ధృవీకరణ: కోడ్‌ను స్కాన్ చేసి ఫింగర్‌ప్రింట్‌ను పోల్చండి.',
      verifyFile: 'లేదా ఈ PDFను తనిఖీ చేయండి: సంతకం చేసిన ధృవపత్రం దీనికి జోడించబడింది; అదే చెల్లుతుంది.'
    },
    kn: {
      issuedTo: 'ಪಡೆದವರು',
      issuedOn: 'ನೀಡಿದ ದಿನಾಂಕ',
      validUntil: 'ಮಾನ್ಯತೆಯ ಕೊನೆಯ ದಿನಾಂಕ',
      noEnd: 'ಕೊನೆಯ ದಿನಾಂಕವಿಲ್ಲ',
      credentialId: 'ಪ್ರಮಾಣಪತ್ರದ ಐಡಿ',
      holderId: 'ಪಡೆದವರ ಐಡಿ',
      issuerId: 'ನೀಡಿದವರ ಐಡಿ',
      fingerprint: 'ಫಿಂಗರ್‌ಪ್ರಿಂಟ್',
      yes: 'ಹೌದು',
      no: 'ಇಲ್ಲ',
      verifyCompact: 'ಪರಿಶೀಲನೆ: ಕೋಡ್ ಸ್ಕ್ಯಾನ್ ಮಾಡಿ. ಸಹಿ ಮಾಡಿದ ಪ್ರಮಾಣಪತ್ರವೇ ಅದರಲ್ಲಿದೆ.',
      verifyUrl: 'ಪರಿಶೀಲನೆ: ಕೋಡ್ ಸ್ಕ್ಯಾನ್ ಮಾಡಿ ಫಿಂಗರ್‌ಪ್ರಿಂಟ್ ಹೋಲಿಸಿ.',
      verifyFile: 'ಅಥವಾ ಈ PDF ಪರಿಶೀಲಿಸಿ: ಸಹಿ ಮಾಡಿದ ಪ್ರಮಾಣಪತ್ರ ಇದಕ್ಕೆ ಲಗತ್ತಾಗಿದೆ, ಅದೇ ಮಾನ್ಯ.'
    },
    ml: {
      issuedTo: 'ലഭിച്ചയാൾ',
      issuedOn: 'നൽകിയ തീയതി',
      validUntil: 'സാധുതയുടെ അവസാന തീയതി',
      noEnd: 'അവസാന തീയതി ഇല്ല',
      credentialId: 'സർട്ടിഫിക്കറ്റ് ഐഡി',
      holderId: 'ലഭിച്ചയാളുടെ ഐഡി',
      issuerId: 'നൽകിയവരുടെ ഐഡി',
      fingerprint: 'ഫിംഗർപ്രിന്റ്',
      yes: 'അതെ',
      no: 'അല്ല',
      verifyCompact: 'പരിശോധന: കോഡ് സ്കാൻ ചെയ്യുക. ഒപ്പിട്ട സർട്ടിഫിക്കറ്റ് തന്നെയാണ് അതിലുള്ളത്.',
      verifyUrl: 'പരിശോധന: കോഡ് സ്കാൻ ചെയ്ത് ഫിംഗർപ്രിന്റ് ഒത്തുനോക്കുക.',
      verifyFile: 'അല്ലെങ്കിൽ ഈ PDF പരിശോധിക്കുക: ഒപ്പിട്ട സർട്ടിഫിക്കറ്റ് ഇതോടൊപ്പമുണ്ട്; അതാണ് സാധുവായത്.'
    }
  } satisfies Record<string, CertificateWords>)
)

/** Languages whose words are here. */
export const CERTIFICATE_LANGUAGES: readonly string[] = [...WORDS.keys()]

/** The words in a language (BCP 47), its region set aside; English where they are not here. */
export function certificateWords(tag: string): CertificateWords {
  const words = WORDS.get(tag.split('-')[0] ?? tag) ?? WORDS.get('en')
  if (words === undefined) throw new Error('the English words are missing')
  return words
}
