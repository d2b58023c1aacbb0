# What the bot says, in English. HTML; everything that comes from outside is escaped by texts.py.

## Who may talk to it

stranger = This bot is private. Your Telegram id is { $id }.

## Commands

welcome =
    <b>Welcome!</b> Send me a script and you get back a finished, narrated video.
help =
    <b>How it works</b>
    Send a script as a message of at least { $minimum } characters, or as a .txt or .md file. A long script may arrive in several messages: I join them. Hindi, English and a mix of both are fine.

    /status – your latest videos
    /status <i>id</i> – one video in detail
    /queue – how much is waiting
    /history – what has been made, with links
    /cancel – call a video off
    /retry – try a failed video again
    /retry all – try all your failed ones again
    /workers – which machines are working

    The first few characters of an id are enough.
menu-status = Your latest videos
menu-queue = How much is waiting
menu-history = What has been made, with links
menu-retry = Try a failed video again
menu-cancel = Call a video off
menu-workers = Which machines are working
menu-help = How it works
unknown-command = I do not know this command. /help shows what I can do.
unknown-job = None of your videos has an id that begins with <code>{ $id }</code>. /status shows your latest ones.
unknown-job-short = This is not one of your videos, or it is gone.
ambiguous-id = Several videos begin with <code>{ $id }</code>. Please send a few more characters of the id.
not-saved = This could not be saved just now. Please try again in a minute.
error = Something went wrong with this message, and the fault is mine. Please send it again.

## Lists

status-head = <b>Your latest videos</b>
status-foot = For details: /status and an id
status-none = You have no videos yet. Send me a script to make one.
headline = { $mark } <b>{ $title }</b> · <code>{ $id }</code>: { $stage }
line-percent = { $line }, { $percent } %
line-place = { $line }, place { $place }
history-head = <b>What has been made</b>
history-line = { $line } · { $channel } · { $date }{ $link }
history-link = {" "}· <a href="{ $url }">Download</a>
history-none = Nothing has been finished yet. /status shows what is under way.
history-end = There is nothing older.
button-older = Older ›
button-newest = « Newest
queue-head = <b>The queue</b>
queue-audio = Speech: { $pending } waiting, { $processing } in work
queue-video = Video: { $pending } waiting, { $processing } in work
queue-paused-audio = ⏸ Speech is paused: what waits, waits safely.
queue-paused-video = ⏸ Rendering is paused: what waits, waits safely.
queue-own = <b>Under way</b>
queue-empty = None of your videos is under way.
workers-audio = <b>Speech</b>
workers-video = <b>Video</b>
workers-none-audio = No machine has reported yet. Scripts wait safely until one does.
workers-none-video = No renderer has reported yet. Videos wait safely until one does.
worker-online = 🟢 { $name } { $machine }: free, { $done ->
        [one] { $done } job done
       *[other] { $done } jobs done
    }, seen { $ago } ago
worker-busy = 🔵 { $name } { $machine }: working on <code>{ $job }</code>, { $done ->
        [one] { $done } job done
       *[other] { $done } jobs done
    }, seen { $ago } ago
worker-offline = ⚪ { $name } { $machine }: offline for { $ago }, { $done ->
        [one] { $done } job done
       *[other] { $done } jobs done
    }

## One video in detail

story-id = Full id <code>{ $id }</code>, channel { $channel }
story-created = Sent { $ago } ago
story-audio = <b>Speech</b>: { $state }{ $place ->
        [0] {""}
       *[other] , place { $place } in the queue
    }
story-video = <b>Video</b>: { $state }{ $place ->
        [0] {""}
       *[other] , place { $place } in the queue
    }
story-since = for { $time } so far
story-took = took { $time }
story-progress = { $percent } %{ $parts ->
        [0] {""}
       *[other] , { $part } of { $parts } parts
    }
story-error = { $attempts ->
        [0] {""}
        [one] { $attempts } attempt failed.{" "}
       *[other] { $attempts } attempts failed.{" "}
    }Reason: <i>{ $reason }</i>
state-pending = waiting
state-processing = in work
state-completed = finished
state-failed = failed
state-cancelled = cancelled

## Stages of a production

stage-waiting = waiting
stage-speaking = being spoken
stage-waiting-for-video = spoken, waiting to be rendered
stage-rendering = being rendered
stage-done = ready
stage-failed = failed
stage-cancelled = cancelled
mark-waiting = ⏳
mark-speaking = 🎙
mark-waiting-for-video = ⏳
mark-rendering = 🎬
mark-done = ✅
mark-failed = ❌
mark-cancelled = 🚫

## The status card

card-title = 📝 <b>{ $title }</b>
card-facts = <code>{ $id }</code> · { $channel } · { $chars ->
        [one] { $chars } character
       *[other] { $chars } characters
    }, about { $minutes } min of speech
card-facts-short = <code>{ $id }</code> · { $channel }
card-waiting = { $place ->
        [1] ⏳ Next in the queue
       *[other] ⏳ Place { $place } in the queue
    }
card-waiting-begins = ⏳ In the queue
card-speaking = 🎙 Speaking: { $percent } %
card-speaking-begins = 🎙 Speaking has begun
card-speaking-part = 🎙 Speaking: part { $part } of { $parts } ({ $percent } %)
card-waiting-for-video = { $place ->
        [1] ⏳ Spoken. Next to be rendered
       *[other] ⏳ Spoken. Place { $place } to be rendered
    }
card-waiting-for-video-begins = ⏳ Spoken. Waiting to be rendered
card-rendering = 🎬 Rendering: { $percent } %
card-rendering-begins = 🎬 Rendering has begun
card-eta = About { $time } left
card-duplicate = ⚠️ The same script was sent before: <code>{ $id }</code> of { $date }, { $stage }. If you do not want it twice, press Cancel.
card-no-voice = No machine for speech is online right now. Your script is safe and starts as soon as one is.
card-attempt-follows = ⚠️ That did not work: <i>{ $reason }</i>
    Attempt { $attempt } of { $attempts } follows{ $wait }.
card-attempt-runs = ⚠️ This is attempt { $attempt } of { $attempts }. The last one failed: <i>{ $reason }</i>
card-attempt-wait = {" "}in { $time }
button-cancel = Cancel
minutes = { $n } min
hours = { $hours } h { $minutes } min
days = { $n ->
        [one] { $n } day
       *[other] { $n } days
    }

## Scripts

ask-short = { $chars ->
        [one] Only { $chars } character. Make a video of it anyway?
       *[other] Only { $chars } characters. Make a video of it anyway?
    }
ask-made = All right, I make a video of it.
ask-dropped = All right, no video of it.
ask-gone = The message with the script is gone. Please send it again.
button-yes = Yes
button-no = No
script-too-long = This script has { $chars } characters; I take at most { $limit }. Please split it into several videos.
script-refused = This script cannot be queued: <i>{ $reason }</i>
script-not-saved = Your script could not be saved, so it is not in the queue. Please send it again in a few minutes.
edited-waiting = Your correction is not used: the script counts as it was first sent. To use the corrected text: /cancel { $id } and send it anew.
edited-begun = Your correction comes too late: the video <code>{ $id }</code> is already in work. To use the corrected text: /cancel { $id } and send it anew.
not-a-script = I make videos from text only. Send the script as a message, or as a .txt or .md file.
file-wrong-type = I cannot read <b>{ $name }</b>. Please send the script as a message, or as a .txt or .md file (up to { $limit } MB).
file-too-large = <b>{ $name }</b> is too large: I read text files up to { $limit } MB. Is it really a script?
file-empty = <b>{ $name }</b> is empty (text files up to { $limit } MB are fine). Please look at the file and send it again.
file-not-text = <b>{ $name }</b> holds no text that I can read. Please save it as plain text (UTF-8, up to { $limit } MB) and send it again.
file-not-fetched = I could not fetch <b>{ $name }</b> from Telegram (files up to { $limit } MB are fine). Please send it again.

## Cancelling and trying again

cancelled = 🚫 <b>{ $title }</b> is cancelled. To make it after all: /retry { $id }
cancelled-short = Cancelled
cancel-which = Which one shall I cancel?
cancel-none = None of your videos is under way, so there is nothing to cancel.
retried = 🔁 <b>{ $title }</b> is in the queue again: <code>{ $id }</code>
retried-all = 🔁 { $n ->
        [one] { $n } video is in the queue again.
       *[other] { $n } videos are in the queue again.
    }
retried-short = In the queue again
retry-which = Which one shall I try again?
retry-none = None of your videos has failed. A cancelled one comes back with /retry and its id.
already-pending = It is waiting in the queue already.
already-processing = It is being worked on already.
already-completed = It is finished already.
already-failed = It has failed already. /retry tries it again.
already-cancelled = It is cancelled already.
not-yours = Only the person who sent the script can decide this.
button-stale = This button no longer works. /status shows how things are.
button-retry = 🔁 Try again
button-resend = Send again
resending = I send it again.

## Pausing

admins-only = Only an admin can do this.
pause-which = Please say /pause audio or /pause video; /pause alone means both. The same goes for /resume.
paused-audio = ⏸ Speech is paused. What is being spoken is finished, and scripts are still taken. /resume audio lets it go on.
paused-video = ⏸ Rendering is paused. What is being rendered is finished. /resume video lets it go on.
resumed-audio = ▶️ Speech goes on.
resumed-video = ▶️ Rendering goes on.

## The end

done-title = ✅ <b>{ $title }</b>
done-facts = <code>{ $id }</code> · { $channel } · { $length }{ $size }
done-size = {" "}· { $mb } MB
done-link = <a href="{ $url }">Download{ $number ->
        [1] {""}
       *[other] {" "}({ $number })
    }</a>
done-note = ℹ️ { $note }
done-by-link = The file is too large for Telegram, so it comes as a link.
done-no-link = The file is too large for Telegram, or not there any more. It lies on the bot's machine: <code>{ $path }</code>. With PUBLIC_URL set, you would get a link here.
audio-done = The recording is ready. There is only a link to it, so no video is made of it.
uncertain = It is ready, but I cannot tell whether my message with it reached you. If it did not, press the button.
failed-title = ❌ <b>{ $title }</b>
failed-audio = The speech of <code>{ $id }</code> ({ $channel }) failed.
failed-video = The script of <code>{ $id }</code> ({ $channel }) is spoken, but its video failed.
failed-reason = Reason: <i>{ $reason }</i>
failed-advice = Nothing is lost: try again with the button, or with /retry { $id }.
