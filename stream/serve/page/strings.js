/** What the page says, in English and Arabic, and how it writes numbers. */

const ENGLISH = {
  direction: "ltr",
  otherLanguage: "العربية",
  controls: "Recording",
  level: "Microphone level",
  mushaf: "The verse being recited",
  candidates: "Candidates",
  history: "Recited",
  historyEmpty: "Verses appear here once they are complete.",
  invitation: "Press the button and recite, from anywhere in the Quran.",
  listeningFor: "Listening for the verse…",
  start: "Start listening",
  stop: "Stop listening",
  again: "Reconnect",
  status: {
    idle: "Ready",
    asking: "Allow the microphone…",
    connecting: "Connecting…",
    listening: "Listening",
    speech: "Hearing you",
    notQuran: "Not in the Quran",
    suspended: "The browser paused the sound: touch the page",
    finishing: "Finishing…",
  },
  announced: { listening: "Listening", idle: "Stopped" },
  verse: (name, ayah) => `${name}, verse ${ayah}`,
  next: "Next",
  from: (time) => `Recitation at ${time}`,
  sure: (percent) => `Certainty ${percent}`,
  part: (first, last, total) => `Words ${first} to ${last} of ${total}`,
  alsoAt: (verses) => `The same words: ${verses}`,
  wordTimes: "Word by word",
  skippedVerse: "Verse skipped",
  skippedWord: (expected) => `Skipped: ${expected}`,
  replacedWord: (expected, heard) => `Recited ${heard}, expected ${expected}`,
  problems: {
    denied: [
      "The microphone is blocked.",
      "Allow it for this page in the browser's address bar, then press the button again.",
    ],
    noMicrophone: [
      "There is no microphone.",
      "Plug one in or switch it on, then press the button again.",
    ],
    busy: [
      "The microphone cannot be opened.",
      "Close other programs that use it, then press the button again.",
    ],
    insecure: [
      "Browsers give the microphone to secure pages only.",
      "Open this page as http://localhost on the machine that serves it, or over https.",
    ],
    unsupported: [
      "This browser cannot record here.",
      "Use a current Chrome, Edge, Firefox or Safari.",
    ],
    microphoneLost: [
      "The microphone stopped.",
      "Plug it in again, then press the button.",
    ],
    unreachable: [
      "The server does not answer.",
      "Check that it is running (python -m stream.serve) and reconnect.",
    ],
    lost: [
      "The connection was lost.",
      "What was final is kept. Reconnect to go on.",
    ],
    slow: [
      "The network is too slow for sound.",
      "Move closer to the router, then reconnect.",
    ],
    stopped: [
      "The server was stopped.",
      "What was final is kept. Start it again and reconnect.",
    ],
    full: [
      "The server follows as many recitations as it can.",
      "Try again in a minute.",
    ],
    token: [
      "This server asks for a token.",
      "Ask who runs it, and open this page with #token=… at the end of its address.",
    ],
    idle: [
      "No sound has reached the server for a while.",
      "Keep this page open and the screen on, and reconnect.",
    ],
    refused: [
      "The server ended the recitation.",
      "What was final is kept. Reconnect to go on.",
    ],
    text: [
      "The text of a surah could not be loaded.",
      "It is tried again with the next word; if that does not help, reload the page.",
    ],
  },
};

const ARABIC = {
  direction: "rtl",
  otherLanguage: "English",
  controls: "التسجيل",
  level: "مستوى الصوت",
  mushaf: "الآية المتلوّة",
  candidates: "الآيات المحتملة",
  history: "ما تُلي",
  historyEmpty: "تظهر الآيات هنا عند تمامها.",
  invitation: "اضغط الزر واقرأ من أي موضع في القرآن.",
  listeningFor: "أستمع لمعرفة الآية…",
  start: "ابدأ الاستماع",
  stop: "أوقف الاستماع",
  again: "أعد الاتصال",
  status: {
    idle: "جاهز",
    asking: "اسمح باستخدام الميكروفون…",
    connecting: "جارٍ الاتصال…",
    listening: "أستمع",
    speech: "أسمعك",
    notQuran: "ليس من القرآن",
    suspended: "أوقف المتصفح الصوت: المس الصفحة",
    finishing: "جارٍ الإنهاء…",
  },
  announced: { listening: "بدأ الاستماع", idle: "توقف الاستماع" },
  verse: (name, ayah) => `${name}، الآية ${ayah}`,
  next: "التالية",
  from: (time) => `تلاوة الساعة ${time}`,
  sure: (percent) => `درجة اليقين ${percent}`,
  part: (first, last, total) => `الكلمات ${first} إلى ${last} من ${total}`,
  alsoAt: (verses) => `بالألفاظ نفسها: ${verses}`,
  wordTimes: "كلمة كلمة",
  skippedVerse: "آية متروكة",
  skippedWord: (expected) => `تُركت: ${expected}`,
  replacedWord: (expected, heard) => `قرئت ${heard} والصواب ${expected}`,
  problems: {
    denied: ["الميكروفون محجوب.", "اسمح به لهذه الصفحة من شريط العنوان ثم اضغط الزر."],
    noMicrophone: ["لا يوجد ميكروفون.", "صِل واحدًا أو شغّله ثم اضغط الزر."],
    busy: ["تعذّر فتح الميكروفون.", "أغلق البرامج الأخرى التي تستخدمه ثم اضغط الزر."],
    insecure: [
      "لا تتيح المتصفحات الميكروفون إلا للصفحات الآمنة.",
      "افتح الصفحة على http://localhost من الجهاز نفسه أو عبر https.",
    ],
    unsupported: ["لا يستطيع هذا المتصفح التسجيل هنا.", "استخدم إصدارًا حديثًا من متصفحك."],
    microphoneLost: ["توقف الميكروفون.", "أعد وصله ثم اضغط الزر."],
    unreachable: [
      "الخادم لا يجيب.",
      "تأكد من تشغيله (python -m stream.serve) ثم أعد الاتصال.",
    ],
    lost: ["انقطع الاتصال.", "ما تمّ محفوظ. أعد الاتصال للمتابعة."],
    slow: ["الشبكة أبطأ من الصوت.", "اقترب من جهاز الشبكة ثم أعد الاتصال."],
    stopped: ["أُوقف الخادم.", "ما تمّ محفوظ. شغّله من جديد ثم أعد الاتصال."],
    full: ["الخادم يتابع أقصى ما يستطيع من التلاوات.", "حاول بعد دقيقة."],
    token: [
      "يطلب هذا الخادم رمزًا.",
      "اسأل من يديره، وافتح الصفحة بإضافة #token=… إلى عنوانها.",
    ],
    idle: ["لم يصل صوت إلى الخادم منذ مدة.", "أبقِ الصفحة مفتوحة والشاشة مضاءة ثم أعد الاتصال."],
    refused: ["أنهى الخادم التلاوة.", "ما تمّ محفوظ. أعد الاتصال للمتابعة."],
    text: ["تعذّر تحميل نص سورة.", "يُعاد الطلب مع الكلمة التالية، وإلا فأعد تحميل الصفحة."],
  },
};

const LANGUAGES = { en: ENGLISH, ar: ARABIC };
const REMEMBERED = "tasmi-language";

/** @returns {"en" | "ar"} what the reader chose before, else what the browser prefers */
export function preferredLanguage() {
  const wanted = [localStorage.getItem(REMEMBERED), ...navigator.languages];
  return wanted.map((tag) => tag?.slice(0, 2)).find((code) => code in LANGUAGES) ?? "en";
}

/** The page's words in one language, and numbers written its way. */
export class Strings {
  /** @param {"en" | "ar"} language */
  constructor(language) {
    this.language = language;
    this.text = LANGUAGES[language];
    const locale = language === "ar" ? "ar-u-nu-arab" : "en";
    this.#integer = new Intl.NumberFormat(locale);
    this.#twoDigits = new Intl.NumberFormat(locale, { minimumIntegerDigits: 2 });
    this.#percent = new Intl.NumberFormat(locale, { style: "percent" });
    this.#hour = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
  }

  #integer;
  #twoDigits;
  #percent;
  #hour;

  get other() {
    return this.language === "en" ? "ar" : "en";
  }

  /** Chosen by the reader: kept for the next visit. */
  remember() {
    localStorage.setItem(REMEMBERED, this.language);
  }

  number(value) {
    return this.#integer.format(value);
  }

  percent(share) {
    return this.#percent.format(share);
  }

  hour(date) {
    return this.#hour.format(date);
  }

  /** Minutes and seconds of a recitation, as 1:05. */
  clock(seconds) {
    const whole = Math.floor(seconds);
    return `${this.number(Math.floor(whole / 60))}:${this.#twoDigits.format(whole % 60)}`;
  }

  /** A surah's name as the language writes it; its number until the text has come. */
  surah(number, surah) {
    if (!surah) return this.number(number);
    return this.language === "ar" ? surah.name : surah.name_latin;
  }
}
