// The instrument: SpessaSynth's processor in an AudioWorklet, with the server's soundfont. One channel a voice.
// Times are the audio clock's, in seconds. Nothing sounds before a gesture of the visitor has called `resume`.

export const PROGRAMS = { piano: 0, harpsichord: 6, organ: 19 };
const TOUCHED = ["piano"];      // the others cannot be struck louder or softer
export const OWN = 5;           // the channel of what the visitor plays, which no voice's buttons silence
const VOICES = 6;               // channels
const FLAT = 84;                // velocity where none is asked for
const [NOTE_ON, NOTE_OFF, CONTROL, PROGRAM] = [0x90, 0x80, 0xb0, 0xc0];
const [VOLUME, PAN, RELEASE] = [7, 10, 123];

export class Synth {
  constructor(folder) {
    this.folder = folder;       // address of this folder, with a slash at its end
    this.instrument = "piano";
    this.silent = new Set();
    this.context = null;
    this.struck = 0;            // notes begun until now
    this.clicks = [];           // strokes of the metronome that are still to come, or were
  }

  // Load everything; may be called as often as one likes, and tries again what has failed.
  ready() {
    this.loading ??= this.load().catch((error) => { this.loading = null; throw error; });
    return this.loading;
  }

  async load() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    const font = fetch(`${this.folder}instruments.sf2`).then((answer) => {
      if (!answer.ok) throw new Error(`the soundfont was not sent (${answer.status})`);
      return answer.arrayBuffer();
    });
    font.catch(() => {});       // told where it is waited for
    await this.context.audioWorklet.addModule(`${this.folder}vendor/spessasynth_processor.min.js`);
    // Output 0 is the reverberation of all, the other 16 are the channels without it.
    this.node = new AudioWorkletNode(this.context, "spessasynth-worklet-processor", {
      numberOfOutputs: 17, outputChannelCount: new Array(17).fill(2), processorOptions: { oneOutput: false, eventsEnabled: false },
    });
    this.loudness = new GainNode(this.context, { gain: 3 });
    this.limit = new DynamicsCompressorNode(this.context, { threshold: -8, ratio: 12, attack: 0.002, release: 0.2 });
    this.meter = new AnalyserNode(this.context, { fftSize: 2048 });
    for (let output = 0; output < 17; output += 1) this.node.connect(this.loudness, output);
    this.loudness.connect(this.limit).connect(this.meter).connect(this.context.destination);
    await this.answer("sf3Decoder");
    const bytes = await font;
    this.post("soundBankManager", { type: "addSoundBank", data: { soundBankBuffer: bytes, bankOffset: 0, id: "main" } }, [bytes]);
    await this.answer("soundBankManager");
    for (let voice = 0; voice < VOICES; voice += 1) this.send([CONTROL | voice, PAN, 52 + 6 * voice]);
    this.play(this.instrument);
    this.silence(this.silent);
  }

  answer(what) {
    return new Promise((resolve, reject) => {
      this.node.port.onmessage = ({ data }) => {
        if (data.type === "soundBankError") reject(new Error(String(data.data)));
        if (data.type === "isFullyInitialized" && data.data.type === what) resolve();
      };
      this.node.onprocessorerror = () => reject(new Error("the synthesiser stopped"));
    });
  }

  post(type, data, transfer = []) { this.node.port.postMessage({ type, channelNumber: -1, data }, transfer); }

  send(message, time = 0) {
    if (this.node) this.post("midiMessage", { messageData: new Uint8Array(message), channelOffset: 0, options: { time } });
  }

  // To be called from a click or a key: browsers let a page sound only then.
  async resume() {
    await this.ready();
    if (this.context.state !== "running") await this.context.resume();
  }

  get now() { return this.context ? this.context.currentTime : 0; }

  // Choose the instrument; what sounds goes on.
  play(instrument) {
    this.instrument = instrument;
    for (let voice = 0; voice < VOICES; voice += 1) this.send([PROGRAM | voice, PROGRAMS[instrument]]);
  }

  // The voices that are not to be heard.
  silence(voices) {
    this.silent = voices;
    for (let voice = 0; voice < VOICES; voice += 1) this.send([CONTROL | voice, VOLUME, voices.has(voice) ? 0 : 110]);
  }

  note(voice, pitch, loud, from, to) {
    this.struck += 1;
    this.send([NOTE_ON | voice, pitch, TOUCHED.includes(this.instrument) ? loud || FLAT : FLAT], from);
    this.send([NOTE_OFF | voice, pitch], to);
  }

  // Let go of every key, at once or at a time; the metronome ends at once.
  release(time = 0) {
    this.clicks.splice(0).forEach((beat) => beat.stop());
    for (let voice = 0; voice < VOICES; voice += 1) this.send([CONTROL | voice, RELEASE, 0], time);
  }

  // One stroke of the metronome.
  click(time, strong) {
    const beat = new OscillatorNode(this.context, { frequency: strong ? 1760 : 1320 });
    const gain = new GainNode(this.context, { gain: 0 });
    gain.gain.setValueAtTime(strong ? 0.35 : 0.22, time);
    gain.gain.exponentialRampToValueAtTime(0.001, time + 0.06);
    beat.connect(gain).connect(this.context.destination);
    beat.start(time);
    beat.stop(time + 0.07);
    this.clicks.push(beat);
  }

  // The loudest sample of the last 43 ms, for tests and for whoever wonders whether it sounds.
  level() {
    if (!this.meter) return 0;
    const samples = new Float32Array(this.meter.fftSize);
    this.meter.getFloatTimeDomainData(samples);
    return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }
}
