# बॉट क्या कहता है, हिंदी में। HTML; बाहर से आया हर शब्द texts.py में सुरक्षित किया जाता है।

## किसे बात करने की अनुमति है

stranger = यह बॉट निजी है। आपकी Telegram आईडी { $id } है।

## कमांड

welcome =
    <b>स्वागत है!</b> मुझे स्क्रिप्ट भेजिए, बदले में आवाज़ के साथ तैयार वीडियो मिलेगा।
help =
    <b>यह कैसे काम करता है</b>
    स्क्रिप्ट कम से कम { $minimum } अक्षरों के संदेश के रूप में भेजिए, या .txt या .md फ़ाइल में। लंबी स्क्रिप्ट कई संदेशों में आए तो मैं उन्हें जोड़ लेता हूँ। हिंदी, अंग्रेज़ी या दोनों मिली-जुली, सब चलेगा।

    /status – आपके ताज़ा वीडियो
    /status <i>आईडी</i> – किसी एक वीडियो का पूरा हाल
    /queue – कतार में कितना काम है
    /history – अब तक बने वीडियो, लिंक के साथ
    /cancel – वीडियो रद्द करें
    /retry – विफल वीडियो फिर से बनवाएँ
    /retry all – अपने सभी विफल वीडियो फिर से बनवाएँ
    /workers – कौन-सी मशीनें काम कर रही हैं

    आईडी के शुरू के कुछ अक्षर ही काफ़ी हैं।
menu-status = आपके ताज़ा वीडियो
menu-queue = कतार में कितना काम है
menu-history = अब तक बने वीडियो, लिंक के साथ
menu-retry = विफल वीडियो फिर से बनवाएँ
menu-cancel = वीडियो रद्द करें
menu-workers = कौन-सी मशीनें काम कर रही हैं
menu-help = यह कैसे काम करता है
unknown-command = यह कमांड मुझे नहीं पता। मैं क्या-क्या कर सकता हूँ, यह /help में है।
unknown-job = आपके किसी वीडियो की आईडी <code>{ $id }</code> से शुरू नहीं होती। ताज़ा वीडियो /status में हैं।
unknown-job-short = यह आपका वीडियो नहीं है, या अब मौजूद नहीं है।
ambiguous-id = कई वीडियो की आईडी <code>{ $id }</code> से शुरू होती है। कृपया आईडी के कुछ और अक्षर भेजिए।
not-saved = यह अभी सहेजा नहीं जा सका। कृपया एक मिनट बाद फिर कोशिश कीजिए।
error = इस संदेश में कुछ गड़बड़ हो गई, गलती मेरी है। कृपया इसे फिर से भेजिए।

## सूचियाँ

status-head = <b>आपके ताज़ा वीडियो</b>
status-foot = पूरा हाल जानने के लिए: /status और आईडी
status-none = अभी आपका कोई वीडियो नहीं है। बनवाने के लिए मुझे स्क्रिप्ट भेजिए।
headline = { $mark } <b>{ $title }</b> · <code>{ $id }</code>: { $stage }
line-percent = { $line }, { $percent } %
line-place = { $line }, नंबर { $place }
history-head = <b>अब तक का काम</b>
history-line = { $line } · { $channel } · { $date }{ $link }
history-link = {" "}· <a href="{ $url }">डाउनलोड</a>
history-none = अभी तक कुछ पूरा नहीं हुआ है। जो चल रहा है, वह /status में है।
history-end = इससे पुराना कुछ नहीं है।
button-older = पुराने ›
button-newest = « सबसे नए
queue-head = <b>कतार</b>
queue-audio = आवाज़: { $pending } इंतज़ार में, { $processing } पर काम जारी
queue-video = वीडियो: { $pending } इंतज़ार में, { $processing } पर काम जारी
queue-paused-audio = ⏸ आवाज़ का काम रुका हुआ है: जो कतार में है, वह सुरक्षित है।
queue-paused-video = ⏸ वीडियो बनाने का काम रुका हुआ है: जो कतार में है, वह सुरक्षित है।
queue-own = <b>अभी बन रहे वीडियो</b>
queue-empty = अभी आपका कोई वीडियो नहीं बन रहा है।
workers-audio = <b>आवाज़</b>
workers-video = <b>वीडियो</b>
workers-none-audio = अभी तक कोई मशीन नहीं जुड़ी है। तब तक स्क्रिप्ट कतार में सुरक्षित हैं।
workers-none-video = वीडियो बनाने वाली कोई मशीन अभी नहीं जुड़ी है। तब तक काम कतार में सुरक्षित है।
worker-online = 🟢 { $name } { $machine }: खाली, { $done ->
        [one] { $done } काम पूरा
       *[other] { $done } काम पूरे
    }, { $ago } पहले संपर्क हुआ
worker-busy = 🔵 { $name } { $machine }: <code>{ $job }</code> पर काम जारी, { $done ->
        [one] { $done } काम पूरा
       *[other] { $done } काम पूरे
    }, { $ago } पहले संपर्क हुआ
worker-offline = ⚪ { $name } { $machine }: { $ago } से संपर्क नहीं, { $done ->
        [one] { $done } काम पूरा
       *[other] { $done } काम पूरे
    }

## एक वीडियो का पूरा हाल

story-id = पूरी आईडी <code>{ $id }</code>, चैनल { $channel }
story-created = { $ago } पहले भेजा गया
story-audio = <b>आवाज़</b>: { $state }{ $place ->
        [0] {""}
       *[other] , कतार में नंबर { $place }
    }
story-video = <b>वीडियो</b>: { $state }{ $place ->
        [0] {""}
       *[other] , कतार में नंबर { $place }
    }
story-since = { $time } से जारी
story-took = { $time } लगे
story-progress = { $percent } %{ $parts ->
        [0] {""}
       *[other] , { $parts } में से { $part } भाग पूरे
    }
story-error = { $attempts ->
        [0] {""}
        [one] { $attempts } कोशिश विफल रही।{" "}
       *[other] { $attempts } कोशिशें विफल रहीं।{" "}
    }कारण: <i>{ $reason }</i>
state-pending = इंतज़ार में
state-processing = काम जारी
state-completed = पूरा
state-failed = विफल
state-cancelled = रद्द

## वीडियो बनने के चरण

stage-waiting = कतार में
stage-speaking = आवाज़ बन रही है
stage-waiting-for-video = आवाज़ तैयार, वीडियो बनना बाकी
stage-rendering = वीडियो बन रहा है
stage-done = तैयार
stage-failed = नहीं बन सका
stage-cancelled = रद्द
mark-waiting = ⏳
mark-speaking = 🎙
mark-waiting-for-video = ⏳
mark-rendering = 🎬
mark-done = ✅
mark-failed = ❌
mark-cancelled = 🚫

## स्थिति बताने वाला संदेश

card-title = 📝 <b>{ $title }</b>
card-facts = <code>{ $id }</code> · { $channel } · { $chars ->
        [one] { $chars } अक्षर
       *[other] { $chars } अक्षर
    }, लगभग { $minutes } मिनट की आवाज़
card-facts-short = <code>{ $id }</code> · { $channel }
card-waiting = { $place ->
        [1] ⏳ कतार में अगला नंबर इसी का है
       *[other] ⏳ कतार में नंबर { $place }
    }
card-waiting-begins = ⏳ कतार में
card-speaking = 🎙 आवाज़ बन रही है: { $percent } %
card-speaking-begins = 🎙 आवाज़ बननी शुरू हो गई है
card-speaking-part = 🎙 आवाज़ बन रही है: { $parts } में से भाग { $part } ({ $percent } %)
card-waiting-for-video = { $place ->
        [1] ⏳ आवाज़ तैयार है। वीडियो बनाने में अगला नंबर इसी का है
       *[other] ⏳ आवाज़ तैयार है। वीडियो की कतार में नंबर { $place }
    }
card-waiting-for-video-begins = ⏳ आवाज़ तैयार है। वीडियो बनना बाकी है
card-rendering = 🎬 वीडियो बन रहा है: { $percent } %
card-rendering-begins = 🎬 वीडियो बनना शुरू हो गया है
card-eta = लगभग { $time } बाकी
card-duplicate = ⚠️ यही स्क्रिप्ट पहले भी भेजी गई है: <code>{ $id }</code>, तारीख { $date }, { $stage }। दो बार नहीं चाहिए तो “रद्द करें” दबाइए।
card-no-voice = आवाज़ बनाने वाली कोई मशीन अभी चालू नहीं है। आपकी स्क्रिप्ट सुरक्षित है, मशीन चालू होते ही काम शुरू होगा।
card-attempt-follows = ⚠️ यह कोशिश विफल रही: <i>{ $reason }</i>
    अगली कोशिश ({ $attempt }/{ $attempts }){ $wait } होगी।
card-attempt-runs = ⚠️ यह कोशिश { $attempt }/{ $attempts } है। पिछली विफल रही: <i>{ $reason }</i>
card-attempt-wait = {" "}{ $time } में
button-cancel = रद्द करें
minutes = { $n } मिनट
hours = { $hours } घंटे { $minutes } मिनट
days = { $n ->
        [one] { $n } दिन
       *[other] { $n } दिन
    }

## स्क्रिप्ट

ask-short = { $chars ->
        [one] सिर्फ़ { $chars } अक्षर है। फिर भी इसका वीडियो बनाऊँ?
       *[other] सिर्फ़ { $chars } अक्षर हैं। फिर भी इसका वीडियो बनाऊँ?
    }
ask-made = ठीक है, मैं इसका वीडियो बनाता हूँ।
ask-dropped = ठीक है, इसका वीडियो नहीं बनेगा।
ask-gone = स्क्रिप्ट वाला संदेश अब नहीं मिल रहा। कृपया उसे फिर से भेजिए।
button-yes = हाँ
button-no = नहीं
script-too-long = इस स्क्रिप्ट में { $chars } अक्षर हैं; मैं ज़्यादा से ज़्यादा { $limit } लेता हूँ। कृपया इसे कई वीडियो में बाँट दीजिए।
script-refused = यह स्क्रिप्ट कतार में नहीं डाली जा सकी: <i>{ $reason }</i>
script-not-saved = आपकी स्क्रिप्ट सहेजी नहीं जा सकी, इसलिए वह कतार में नहीं है। कृपया कुछ मिनट बाद फिर से भेजिए।
edited-waiting = आपका सुधार नहीं लिया गया: स्क्रिप्ट वही रहेगी जो पहले भेजी थी। सुधारा हुआ पाठ इस्तेमाल करने के लिए /cancel { $id } भेजिए और स्क्रिप्ट नए संदेश में दोबारा भेजिए।
edited-begun = सुधार देर से आया: वीडियो <code>{ $id }</code> पर काम शुरू हो चुका है। सुधारा हुआ पाठ इस्तेमाल करने के लिए /cancel { $id } भेजिए और स्क्रिप्ट नए संदेश में दोबारा भेजिए।
not-a-script = मैं सिर्फ़ लिखे हुए पाठ से वीडियो बनाता हूँ। स्क्रिप्ट संदेश के रूप में भेजिए, या .txt या .md फ़ाइल में।
file-wrong-type = <b>{ $name }</b> मैं नहीं पढ़ सकता। कृपया स्क्रिप्ट संदेश के रूप में भेजिए, या .txt या .md फ़ाइल में ({ $limit } MB तक)।
file-too-large = <b>{ $name }</b> बहुत बड़ी है: मैं { $limit } MB तक की टेक्स्ट फ़ाइल पढ़ता हूँ। क्या यह सचमुच स्क्रिप्ट है?
file-empty = <b>{ $name }</b> खाली है ({ $limit } MB तक की टेक्स्ट फ़ाइल चलेगी)। कृपया फ़ाइल देखकर फिर से भेजिए।
file-not-text = <b>{ $name }</b> में ऐसा पाठ नहीं मिला जिसे मैं पढ़ सकूँ। कृपया इसे सादे टेक्स्ट (UTF-8, { $limit } MB तक) में सहेजकर फिर से भेजिए।
file-not-fetched = <b>{ $name }</b> Telegram से नहीं मिल सकी ({ $limit } MB तक की फ़ाइल चलेगी)। कृपया इसे फिर से भेजिए।

## रद्द करना और फिर से बनवाना

cancelled = 🚫 <b>{ $title }</b> रद्द कर दिया गया। फिर भी बनवाना हो तो: /retry { $id }
cancelled-short = रद्द कर दिया
cancel-which = किसे रद्द करूँ?
cancel-none = अभी आपका कोई वीडियो नहीं बन रहा है, इसलिए रद्द करने को कुछ नहीं है।
retried = 🔁 <b>{ $title }</b> फिर से कतार में है: <code>{ $id }</code>
retried-all = 🔁 { $n ->
        [one] { $n } वीडियो फिर से कतार में है।
       *[other] { $n } वीडियो फिर से कतार में हैं।
    }
retried-short = फिर से कतार में है
retry-which = किसे फिर से बनाऊँ?
retry-none = आपका कोई वीडियो विफल नहीं हुआ है। रद्द किया हुआ वीडियो /retry और उसकी आईडी से लौट आता है।
already-pending = यह पहले से कतार में है।
already-processing = इस पर काम पहले से चल रहा है।
already-completed = यह पहले ही पूरा हो चुका है।
already-failed = यह पहले ही विफल हो चुका है। /retry से फिर कोशिश कीजिए।
already-cancelled = यह पहले ही रद्द हो चुका है।
not-yours = यह फ़ैसला वही कर सकता है जिसने स्क्रिप्ट भेजी है।
button-stale = यह बटन अब काम नहीं करता। ताज़ा हाल /status में है।
button-retry = 🔁 फिर कोशिश करें
button-resend = फिर से भेजें
resending = मैं इसे फिर से भेज रहा हूँ।

## काम रोकना

admins-only = यह सिर्फ़ एडमिन कर सकते हैं।
pause-which = कृपया /pause audio या /pause video लिखिए; सिर्फ़ /pause का मतलब है दोनों। /resume के लिए भी यही है।
paused-audio = ⏸ आवाज़ का काम रोक दिया गया। जो बोला जा रहा है वह पूरा होगा, और स्क्रिप्ट अब भी ली जाएँगी। /resume audio से काम फिर चलेगा।
paused-video = ⏸ वीडियो बनाने का काम रोक दिया गया। जो बन रहा है वह पूरा होगा। /resume video से काम फिर चलेगा।
resumed-audio = ▶️ आवाज़ का काम फिर शुरू हुआ।
resumed-video = ▶️ वीडियो बनाने का काम फिर शुरू हुआ।

## अंत

done-title = ✅ <b>{ $title }</b>
done-facts = <code>{ $id }</code> · { $channel } · { $length }{ $size }
done-size = {" "}· { $mb } MB
done-link = <a href="{ $url }">डाउनलोड करें{ $number ->
        [1] {""}
       *[other] {" "}({ $number })
    }</a>
done-note = ℹ️ { $note }
done-by-link = फ़ाइल Telegram के लिए बहुत बड़ी है, इसलिए लिंक दिया गया है।
done-no-link = फ़ाइल Telegram के लिए बहुत बड़ी है, या अब मौजूद नहीं है। वह बॉट की मशीन पर यहाँ है: <code>{ $path }</code>। PUBLIC_URL सेट होने पर यहाँ लिंक मिलता।
audio-done = आवाज़ तैयार है। उसका सिर्फ़ लिंक मिला है, इसलिए उससे वीडियो नहीं बनेगा।
uncertain = यह तैयार है, पर मुझे नहीं पता कि मेरा संदेश आप तक पहुँचा या नहीं। नहीं पहुँचा हो तो बटन दबाइए।
failed-title = ❌ <b>{ $title }</b>
failed-audio = <code>{ $id }</code> ({ $channel }) की आवाज़ नहीं बन सकी।
failed-video = <code>{ $id }</code> ({ $channel }) की आवाज़ तैयार है, पर वीडियो नहीं बन सका।
failed-reason = कारण: <i>{ $reason }</i>
failed-advice = कुछ भी खोया नहीं है: बटन दबाकर या /retry { $id } से फिर कोशिश कीजिए।
