SwaggerUIBundle({ dom_id: '#reference', url: 'json', deepLinking: true, validatorUrl: null })
