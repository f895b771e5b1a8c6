{{/* The name that all others begin with: short enough that what is appended fits into 63 characters. */}}
{{- define "tenure.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* The labels of every object. */}}
{{- define "tenure.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The labels of the example's pods. */}}
{{- define "tenure.exampleLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: example
{{- end }}

{{- define "tenure.hasExample" -}}
{{- if and .Values.example.enabled .Chart.IsRoot }}true{{ end -}}
{{- end }}

{{/* What the example can't do is refused, with what to do instead. */}}
{{- define "tenure.checkExample" -}}
{{- if and (dig "store" "file" false .Values.config) (gt (int .Values.example.replicas) 1) -}}
{{- fail (printf "config.store.file: a directory of a pod is seen by that pod alone, so each of the %d replicas would lead; use another store, or example.replicas=1" (int .Values.example.replicas)) -}}
{{- end -}}
{{- $http := default (dict) .Values.config.http -}}
{{- if or (ne (default "127.0.0.1:4040" $http.api) "127.0.0.1:4040") $http.token_file $http.tls -}}
{{- fail "config.http: the example asks at http://127.0.0.1:4040 and knows no token; leave api, token_file and tls out, or set example.enabled=false" -}}
{{- end -}}
{{- end }}

{{/* The labels that select the pods with the sidecar, or nothing where they aren't known. */}}
{{- define "tenure.selector" -}}
{{- if .Values.selector }}{{ toYaml .Values.selector }}{{ else if include "tenure.hasExample" . }}{{ include "tenure.exampleLabels" . }}{{ end -}}
{{- end }}

{{/* The same for what was asked for. */}}
{{- define "tenure.requiredSelector" -}}
{{- required "selector: name the labels of the pods that the sidecar is in, such as selector={app: payments}, or set service.enabled=false and leave off what else selects them" (include "tenure.selector" .) -}}
{{- end }}

{{/* For `serviceAccountName` of a pod with the sidecar. */}}
{{- define "tenure.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "tenure.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end -}}
{{- end }}

{{- define "tenure.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* The Service to an election's leader. Several elections have one each. */}}
{{- define "tenure.serviceName" -}}
{{- $root := index . 0 -}}
{{- $election := ternary (index . 1) "leader" (hasKey $root.Values.config "elections") -}}
{{- printf "%s-%s" (include "tenure.fullname" $root) ($election | lower | replace "." "-" | replace "_" "-") | trunc 63 | trimSuffix "-" -}}
{{- end }}
