{{/*
The sidecar, as an item of a pod's `initContainers`, or of its `containers` with sidecar.native=false. A change of its config
changes it, and so rolls out whatever it is in.
*/}}
{{- define "tenure.sidecar" -}}
{{- if and .Values.sidecar.native (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "sidecar.native: Kubernetes %s has no native sidecars, 1.29 has; set sidecar.native=false, and put the sidecar into `containers`" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
- name: tenure
  image: {{ include "tenure.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if .Values.sidecar.native }}
  restartPolicy: Always
  {{- end }}
  args: [run, --config, /etc/tenure/config.yaml]
  env:
    - name: POD_NAME
      valueFrom: { fieldRef: { fieldPath: metadata.name } }
    - name: POD_NAMESPACE
      valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
    - name: POD_IP
      valueFrom: { fieldRef: { fieldPath: status.podIP } }
    - name: NODE_NAME
      valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
    - name: CONFIG_SHA256
      value: {{ include "tenure.config" . | sha256sum }}
    {{- with .Values.sidecar.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: tenure-probes
      containerPort: {{ include "tenure.probesPort" . }}
  {{- /* A candidate whose application isn't healthy yet doesn't campaign, and the application isn't started before this succeeds. */}}
  startupProbe:
    {{- include "tenure.probe" (list . (ternary "/livez" "/startupz" (hasKey .Values.config "application"))) | nindent 4 }}
    {{- toYaml .Values.sidecar.startupProbe | nindent 4 }}
  livenessProbe:
    {{- include "tenure.probe" (list . "/livez") | nindent 4 }}
    {{- toYaml .Values.sidecar.livenessProbe | nindent 4 }}
  readinessProbe:
    {{- include "tenure.probe" (list . "/readyz") | nindent 4 }}
    {{- toYaml .Values.sidecar.readinessProbe | nindent 4 }}
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.sidecar.securityContext | nindent 4 }}
  volumeMounts:
    - name: tenure-config
      mountPath: /etc/tenure
      readOnly: true
    {{- if include "tenure.usesApiServer" . }}
    - name: tenure-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
    {{- end }}
    {{- range $index, $name := .Values.secrets }}
    - name: tenure-secret-{{ $index }}
      mountPath: /etc/secrets/{{ $name }}
      readOnly: true
    {{- end }}
    {{- with .Values.sidecar.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "tenure.probe" -}}
{{- $root := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  port: tenure-probes
  scheme: {{ include "tenure.probesScheme" $root }}
{{- end }}

{{/* The volumes that the sidecar needs, as items of a pod's `volumes`. */}}
{{- define "tenure.volumes" -}}
- name: tenure-config
  configMap:
    name: {{ include "tenure.fullname" . }}
{{- if include "tenure.usesApiServer" . }}
- name: tenure-token
  projected:
    sources:
      - serviceAccountToken: { path: token, expirationSeconds: 3607 }
      - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
      - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end }}
{{- range $index, $name := .Values.secrets }}
- name: tenure-secret-{{ $index }}
  secret:
    secretName: {{ $name }}
{{- end }}
{{- end }}
