import { onMosquitto } from './mosquitto.ts'

await onMosquitto(4)
