FROM alpine
RUN <<-EOF
	echo tab > /t
	EOF
